package bitacora;

import java.io.IOException;

/** What an application of the original did: its three messages, by its generated interface. */
final class OriginalCalls {
  private final Session session;
  private final Client client;

  OriginalCalls(Session session, Client client) {
    this.session = session;
    this.client = client;
  }

  void run() throws IOException {
    call("absent", "getValue", "old-absent");
    call("set", "setValue", "old", "value");
    call("get", "getValue", "old");
    call("set again", "setValue", "old", "");
    call("get empty", "getValue", "old");
    call("delete", "delete", "old");
    call("get deleted", "getValue", "old");
    call("delete absent", "delete", "old-absent");
    call("set non-ASCII", "setValue", "ключ €/😀?a=b", "größer 😀\u0000");
    call("get non-ASCII", "getValue", "ключ €/😀?a=b");
    call("set large", "setValue", "old-large", Values.large(300_000));
    call("get large", "getValue", "old-large");
    call("blank key", "getValue", " ");
    call("blank key", "setValue", "", "value");
    call("value too large", "setValue", "old-larger", Values.large(1_000_010));
    call("after errors", "getValue", "old-absent");
  }

  private void call(String step, String message, Object... parameters) throws IOException {
    session.call(step, client, message, parameters);
  }
}
