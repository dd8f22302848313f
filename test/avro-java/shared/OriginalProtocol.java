package bitacora;

/** The original's protocol, as its clients have it compiled in. A test holds it equal to the one in wire/avro/protocol.ts. */
public final class OriginalProtocol {
  public static final String TEXT = """
      {
        "protocol": "RPCHandlerAvro",
        "namespace": "com.grayscaleconsulting.bitacora.rpc.avro",
        "types": [{
          "type": "record", "name": "KeyValueRawAvro",
          "fields": [
            {"name": "key", "type": "string"}, {"name": "value", "type": "string"},
            {"name": "timestamp", "type": "long"}, {"name": "source", "type": "int"},
            {"name": "ttl", "type": "long"}, {"name": "uuid", "type": "string"}
          ]
        }],
        "messages": {
          "getValue": {"request": [{"name": "key", "type": "string"}], "response": ["null", "string"]},
          "setValue": {"request": [{"name": "key", "type": "string"}, {"name": "value", "type": "string"}], "response": "null"},
          "delete": {"request": [{"name": "key", "type": "string"}], "response": "null"}
        }
      }
      """;

  /** The same, as Java's compiler writes it when it is told to use Java's own strings: the text and its hash differ, the bytes do not. */
  public static final String TEXT_WITH_JAVA_STRINGS = TEXT.replace("\"string\"", "{\"type\": \"string\", \"avro.java.string\": \"String\"}");

  private OriginalProtocol() {}
}
