package bitacora;

import java.util.ArrayList;
import java.util.List;
import org.apache.avro.AvroRemoteException;
import org.apache.avro.Protocol;
import org.apache.avro.generic.GenericData.Record;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.ipc.generic.GenericResponder;

/** What a node answers, with fixed numbers and names for every key. */
final class EvolvedServer extends GenericResponder {
  private static final long OFFSET = 1_234_567_890_123L;
  private static final long TIME = 1_700_000_000_000L;
  private static final String UUID = "0b1e7a40-93d1-4f6a-8f0e-5a3c2d1b0a99";
  private static final String GENESIS = "6f1c9d52-2a54-4d0c-9f53-7f9f0a6f3c11";

  EvolvedServer(Protocol protocol) {
    super(protocol);
  }

  @Override
  public Object respond(Protocol.Message message, Object parameters) throws Exception {
    GenericRecord request = (GenericRecord) parameters;
    switch (message.getName()) {
      case "getValue":
        return Answers.value((CharSequence) request.get("key"));
      case "getNode":
        return record("Node", "10.1.2.3:8082", "ready", GENESIS, 12, 1_024, 1_000_000, 16_777_216);
      case "getRecord":
        return answer((CharSequence) request.get("key"));
      case "setRecord":
        return written((CharSequence) ((GenericRecord) request.get("put")).get("key"));
      case "deleteRecord":
        return written((CharSequence) request.get("key"));
      case "getMany":
        return many((List<?>) request.get("keys"), this::answer);
      case "setMany":
        return many((List<?>) request.get("puts"), put -> written((CharSequence) ((GenericRecord) put).get("key")));
      default:
        Answers.mayBreak((CharSequence) request.get("key"));
        return null;
    }
  }

  private interface One<T> {
    Object of(T item) throws AvroRemoteException;
  }

  @SuppressWarnings("unchecked")
  private <T> List<Object> many(List<?> items, One<T> one) {
    List<Object> results = new ArrayList<>();
    for (Object item : items) {
      try {
        results.add(one.of((T) item));
      } catch (AvroRemoteException failure) {
        results.add(failure.getValue());
      }
    }
    return results;
  }

  /** Keys that begin with `peer` are answered by another node, which does not know their version. */
  private Record answer(CharSequence key) throws AvroRemoteException {
    mayFail(key);
    String value = Answers.value(key);
    boolean own = !key.toString().startsWith("peer");
    Record version = own ? position(OFFSET) : null;
    Record found = value == null ? null : record("KeyValue", Values.bytes(value), "text/plain", version, TIME, own ? 0L : TIME + 60_000, UUID);
    return record("Answer", found, own ? 1 : 2, position(OFFSET + 1), GENESIS);
  }

  private Record written(CharSequence key) throws AvroRemoteException {
    mayFail(key);
    return record("Written", position(OFFSET), UUID, GENESIS);
  }

  private void mayFail(CharSequence key) throws AvroRemoteException {
    Answers.mayBreak(key);
    if (Answers.fails(key)) throw new AvroRemoteException(record("Failure", "overloaded", "too much is waiting", "yes", 1_000L));
  }

  private Record position(long offset) {
    return record("Position", 7, offset);
  }

  private Record record(String type, Object... fields) {
    return Values.record(getLocal(), type, fields);
  }
}
