package bitacora;

import java.io.IOException;
import java.util.List;
import org.apache.avro.Protocol;
import org.apache.avro.generic.GenericData.Record;
import org.apache.avro.generic.GenericRecord;

/** What an application of our protocol does, with generic records. */
final class OurCalls {
  private static final String TYPE = "text/plain; charset=utf-8";
  private final Session session;
  private final Client client;
  private final Protocol protocol;
  private final Record nothingSeen;

  OurCalls(Session session, Client client) {
    this.session = session;
    this.client = client;
    this.protocol = session.evolved();
    this.nothingSeen = Values.nothingSeen(protocol);
  }

  void run() throws Exception {
    call("node", "getNode");
    call("absent", "getRecord", "new-absent", nothingSeen);
    call("set", "setRecord", put("new", "größer 😀", TYPE, 0L));
    call("get", "getRecord", "new", nothingSeen);
    call("get by the original's message", "getValue", "new");
    GenericRecord written = (GenericRecord) client.send("setRecord", put("new-seen", "value", "", 0L)).get();
    call("get what was seen", "getRecord", "new-seen", seen(written));
    call("set with a time to live", "setRecord", put("new-short", "value", "", 3_600_000L));
    call("get with a deadline", "getRecord", "new-short", nothingSeen);
    call("set by the original's message", "setValue", "new-old", "value");
    call("get what it set", "getRecord", "new-old", nothingSeen);
    call("delete", "deleteRecord", "new");
    call("get deleted", "getRecord", "new", nothingSeen);
    call("set many", "setMany", List.of(put("many-1", "one", "", 0L), put(" ", "", "", 0L), put("many-2", "", "", 0L)));
    call("set none", "setMany", List.of());
    call("get many", "getMany", List.of("many-1", "new-absent", " ", "many-2"), nothingSeen);
    call("get none", "getMany", List.of(), nothingSeen);
    call("set large", "setRecord", put("new-large", Values.large(300_000), "", 0L));
    call("get large", "getRecord", "new-large", nothingSeen);
    call("blank key", "getRecord", " ", nothingSeen);
    call("blank key", "setRecord", put("", "", "", 0L));
    call("blank key, original's message", "getValue", " ");
    call("value too large", "setRecord", put("new-larger", Values.large(1_000_010), "", 0L));
    call("after errors", "getValue", "new-absent");
  }

  /** What the writer of a record has seen. */
  private Record seen(GenericRecord written) {
    return Values.record(protocol, "Seen", written.get("genesis"), List.of(written.get("position")));
  }

  private Record put(String key, String value, String contentType, long ttl) {
    return Values.put(protocol, key, value, contentType, ttl);
  }

  private void call(String step, String message, Object... parameters) throws IOException {
    session.call(step, client, message, parameters);
  }
}
