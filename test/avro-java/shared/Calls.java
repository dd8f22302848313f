package bitacora;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Protocol;
import org.apache.avro.generic.GenericData.Record;

/** What Java writes for each message, and for each way in which a call may end. */
final class Calls {
  private static final int IN_FLIGHT = 6;
  private final Capture capture;
  private final Protocol evolved;

  Calls(Capture capture) {
    this.capture = capture;
    this.evolved = capture.evolved();
  }

  void run() throws Exception {
    original(capture.originalScenario("original messages", "Client and server of the original"));
    original(capture.scenario("original messages, our server", "A client of the original calls a server of our protocol"));
    ours();
    errors();
    unknownMessage();
    inFlight();
    large();
  }

  private void original(Scenario it) throws Exception {
    try (Client client = it.original()) {
      it.call(client, "getValue", "hello");
      it.call(client, "getValue", "absent");
      it.call(client, "getValue", "ключ €/😀");
      it.call(client, "getValue", "");
      it.call(client, "setValue", "ключ", "größer 😀\u0000");
      it.call(client, "setValue", "hello", "");
      it.call(client, "delete", "hello");
      it.call(client, "getValue", "breaks");
      it.call(client, "setValue", "breaks", "value");
    }
  }

  private void ours() throws Exception {
    Scenario it = capture.scenario("our messages", "Each message of our protocol, found and absent where that is a difference");
    Record seen = record("Seen", "6f1c9d52-2a54-4d0c-9f53-7f9f0a6f3c11", List.of(record("Position", 0, 1L), record("Position", 7, 1_234_567_890_123L)));
    try (Client client = it.evolved()) {
      it.call(client, "getNode");
      it.call(client, "getRecord", "hello", Values.nothingSeen(evolved));
      it.call(client, "getRecord", "peer ключ", seen);
      it.call(client, "getRecord", "absent", seen);
      it.call(client, "setRecord", put("hello", "world", "", 0L));
      it.call(client, "setRecord", put("ключ", "größer 😀", "text/plain; charset=utf-8", 86_400_000L));
      it.call(client, "deleteRecord", "hello");
      it.call(client, "getMany", List.of(), Values.nothingSeen(evolved));
      it.call(client, "getMany", List.of("hello", "absent", "fails", "peer"), seen);
      it.call(client, "setMany", List.of());
      it.call(client, "setMany", List.of(put("hello", "world", "", 0L), put("fails", "", "", 1L)));
      it.call(client, "getValue", "hello");
      it.call(client, "setValue", "hello", "world");
      it.call(client, "delete", "hello");
    }
  }

  private void errors() throws Exception {
    Scenario it = capture.scenario("errors", "A declared error, and one that nobody declared");
    try (Client client = it.evolved()) {
      it.call(client, "getRecord", "fails", Values.nothingSeen(evolved));
      it.call(client, "deleteRecord", "fails");
      it.call(client, "deleteRecord", "breaks");
      it.call(client, "getValue", "breaks");
    }
  }

  private void unknownMessage() throws Exception {
    Scenario it = capture.scenario("unknown message", "A client of a later protocol calls what this server does not have, and then what it has");
    try (Client client = Client.generic("later", Later.than(evolved), it.tap().address())) {
      it.call(client, "getNothing");
      it.call(client, "getValue", "hello");
    }
  }

  /** Threads start one after another, each when the call before it is on its way, so that serials are the same at every run. */
  private void inFlight() throws Exception {
    Scenario it = capture.scenario("in flight", "Calls of several threads on one connection, answered in the opposite order");
    try (Client client = it.evolved()) {
      it.call(client, "getValue", "hello");
      it.tap().gather(IN_FLIGHT);
      List<Thread> threads = new ArrayList<>();
      List<Map<String, Object>> told = new ArrayList<>();
      for (int i = 0; i < IN_FLIGHT; i++) {
        Map<String, Object> call = new LinkedHashMap<>();
        told.add(call);
        String key = (i % 2 == 0 ? "key " : "absent ") + i;
        threads.add(new Thread(() -> {
          try {
            call.putAll(client.call("getValue", key));
          } catch (Exception error) {
            call.put("threw", error.toString());
          }
        }));
        threads.get(i).start();
        it.tap().awaitGathered(i + 1);
      }
      for (Thread thread : threads) thread.join();
      it.calls.addAll(told);
    }
  }

  private void large() throws Exception {
    Scenario it = capture.scenario("large", "Values over 8 KiB, which Java cuts into several buffers of a frame");
    try (Client client = it.evolved()) {
      it.call(client, "setValue", "large", Values.large(17_000));
      it.call(client, "getValue", "large");
      it.call(client, "setRecord", put("large", Values.large(8_400), "", 0L));
    }
  }

  private Record put(String key, String value, String contentType, long ttl) {
    return Values.put(evolved, key, value, contentType, ttl);
  }

  private Record record(String type, Object... fields) {
    return Values.record(evolved, type, fields);
  }
}
