/** How `/docs` looks, and its one script: a button that copies a command. Both are allowed by their hashes alone. */
export const style = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --strong: #0b6bcb; }
@media (prefers-color-scheme: dark) { :root { --strong: #6cb6ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; font: 16px/1.55 system-ui, sans-serif; }
h1 { margin: 0; } h2 { margin: 3rem 0 1rem; border-bottom: 1px solid var(--line); }
h3 { margin: 2.5rem 0 .5rem; font-size: 1.1rem; overflow-wrap: anywhere; } h4 { margin: 1.2rem 0 .3rem; }
a { color: var(--strong); } nav ul { columns: 2 18rem; padding-left: 1.2rem; }
code, pre { font: .9em/1.5 ui-monospace, monospace; } code { background: var(--soft); padding: .1em .3em; border-radius: .25em; }
pre { margin: 0; padding: .7rem 4.5rem .7rem .8rem; overflow-x: auto; background: var(--soft); border: 1px solid var(--line); border-radius: .4rem; }
pre code { background: none; padding: 0; user-select: all; } .command { position: relative; margin: .6rem 0; }
button { position: absolute; top: .45rem; right: .45rem; font: inherit; font-size: .8rem; cursor: pointer; }
table { width: 100%; border-collapse: collapse; font-size: .93rem; } .wide { overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0; border-top: 1px solid var(--line); }
thead th { border-top: 0; } td:first-child { white-space: nowrap; } .method { color: var(--strong); } .soft { opacity: .75; }
:target { background: var(--soft); outline: .4rem solid var(--soft); }
`;

export const script = `
for (const button of document.querySelectorAll('button')) {
  button.hidden = false;
  button.addEventListener('click', async () => {
    try { await navigator.clipboard.writeText(button.previousElementSibling.textContent); button.textContent = 'Copied'; }
    catch { getSelection().selectAllChildren(button.previousElementSibling); button.textContent = 'Selected'; }
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });
}
`;
