package bitacora;

/** The keys on which the servers of a capture act, so that their answers are the same bytes at every run. */
final class Answers {
  private Answers() {}

  /** Keys that begin with `absent` have no value. */
  static String value(CharSequence key) {
    mayBreak(key);
    if (key.toString().startsWith("absent")) return null;
    return key.toString().equals("large") ? Values.large(8_400) : "value of " + key;
  }

  /** An error that no protocol declares. */
  static void mayBreak(CharSequence key) {
    if (key.toString().equals("breaks")) throw new IllegalStateException("the store is gone");
  }

  /** An error that the protocol declares, where it does. */
  static boolean fails(CharSequence key) {
    return key.toString().equals("fails");
  }
}
