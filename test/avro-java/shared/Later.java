package bitacora;

import org.apache.avro.Protocol;

/** Our protocol as a later version might have it. */
final class Later {
  private Later() {}

  /** The protocol with one message more, `getNothing`. */
  static Protocol than(Protocol protocol) {
    String more = "\"messages\":{\"getNothing\":{\"request\":[],\"response\":\"null\"},";
    return Protocol.parse(protocol.toString().replaceFirst("\"messages\":\\{", more));
  }
}
