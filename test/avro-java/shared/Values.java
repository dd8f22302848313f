package bitacora;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.avro.Protocol;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.Encoder;
import org.apache.avro.io.EncoderFactory;

/** Avro values: made from their fields in order, and told in Avro's JSON encoding. */
final class Values {
  /** What values over 8 KiB are made of, so that they can be told shortly. */
  static final String PIECE = "0123456789";

  private static final int LONG_TEXT = 1_000;

  private Values() {}

  static GenericData.Record record(Schema schema, Object... fields) {
    GenericData.Record record = new GenericData.Record(schema);
    for (int i = 0; i < fields.length; i++) record.put(i, fields[i]);
    return record;
  }

  static GenericData.Record record(Protocol protocol, String type, Object... fields) {
    return record(protocol.getType(protocol.getNamespace() + "." + type), fields);
  }

  /** The parameters of a message. */
  static GenericData.Record request(Protocol protocol, String message, Object... parameters) {
    return record(protocol.getMessages().get(message).getRequest(), parameters);
  }

  static ByteBuffer bytes(String text) {
    return ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
  }

  static String large(int characters) {
    return PIECE.repeat(characters / PIECE.length());
  }

  /** What is in a value of type `bytes`. */
  static String text(Object bytes) {
    return StandardCharsets.UTF_8.decode(((ByteBuffer) bytes).duplicate()).toString();
  }

  static GenericData.Record put(Protocol protocol, String key, String value, String contentType, long ttl) {
    return record(protocol, "Put", key, bytes(value), contentType, ttl);
  }

  static GenericData.Record nothingSeen(Protocol protocol) {
    return record(protocol, "Seen", "", List.of());
  }

  /** A value in Avro's JSON encoding; large text of PIECE becomes {"$repeat": PIECE, "$times": n}. */
  static Json.Raw json(Schema schema, Object value) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    Encoder encoder = EncoderFactory.get().jsonEncoder(schema, out);
    new GenericDatumWriter<Object>(schema).write(value, encoder);
    encoder.flush();
    // Avro's encoder writes nothing at all for a record without fields.
    String text = out.size() == 0 ? "{}" : out.toString(StandardCharsets.UTF_8);
    if (text.length() < LONG_TEXT) return new Json.Raw(text);
    int from = text.indexOf(PIECE);
    int to = text.lastIndexOf(PIECE) + PIECE.length();
    if (from < 1 || !text.substring(from, to).equals(large(to - from))) return new Json.Raw(text);
    String told = "{\"$repeat\":\"" + PIECE + "\",\"$times\":" + (to - from) / PIECE.length() + "}";
    return new Json.Raw(text.substring(0, from - 1) + told + text.substring(to + 1));
  }
}
