package bitacora;

/** What a server of the original answers, by SpecificResponder, which finds these methods by their names: fixed words for every key. */
public final class OriginalServer {
  public CharSequence getValue(CharSequence key) {
    return Answers.value(key);
  }

  public Void setValue(CharSequence key, CharSequence value) {
    Answers.mayBreak(key);
    return null;
  }

  public Void delete(CharSequence key) {
    Answers.mayBreak(key);
    return null;
  }
}
