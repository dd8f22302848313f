package bitacora;

import com.grayscaleconsulting.bitacora.rpc.avro.RPCHandlerAvro;
import java.io.Closeable;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.avro.AvroRemoteException;
import org.apache.avro.Protocol;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.ipc.CallFuture;
import org.apache.avro.ipc.Requestor;
import org.apache.avro.ipc.Transceiver;
import org.apache.avro.ipc.generic.GenericRequestor;
import org.apache.avro.ipc.specific.SpecificRequestor;
import org.apache.avro.specific.SpecificData;

/** A Java client as Avro's users write one: the generated interface for the original's protocol, generic records for ours. */
final class Client implements Closeable {
  final String name;
  final Requestor requestor;
  final Transceiver transceiver;
  /** Null: generic. */
  private final RPCHandlerAvro api;

  private Client(String name, Requestor requestor, RPCHandlerAvro api) {
    this.name = name;
    this.requestor = requestor;
    this.transceiver = requestor.getTransceiver();
    this.api = api;
  }

  static Client original(InetSocketAddress address) throws IOException {
    return specific("original", RPCHandlerAvro.PROTOCOL, Netty.connect(address));
  }

  static Client originalWithJavaStrings(InetSocketAddress address) throws IOException {
    return specific("original-java-strings", Protocol.parse(OriginalProtocol.TEXT_WITH_JAVA_STRINGS), Netty.connect(address));
  }

  static Client generic(String name, Protocol protocol, InetSocketAddress address) throws IOException {
    return new Client(name, new GenericRequestor(protocol, Netty.connect(address)), null);
  }

  private static Client specific(String name, Protocol protocol, Transceiver transceiver) throws IOException {
    SpecificData data = new SpecificData(RPCHandlerAvro.class.getClassLoader());
    SpecificRequestor requestor = new SpecificRequestor(protocol, transceiver, data);
    return new Client(name, requestor, SpecificRequestor.getClient(RPCHandlerAvro.class, requestor));
  }

  Protocol protocol() {
    return requestor.getLocal();
  }

  /** Calls, and tells message, request, and what came of it: `response`, `failure` (declared), or `threw` and `says`. */
  Map<String, Object> call(String message, Object... parameters) throws IOException {
    Map<String, Object> told = asked(message, parameters);
    try {
      Object response = api == null ? requestor.request(message, request(message, parameters)) : byInterface(message, parameters);
      answered(told, message, response);
    } catch (Exception error) {
      failed(told, error);
    }
    return told;
  }

  /** Calls without waiting. */
  CallFuture<Object> send(String message, Object... parameters) throws Exception {
    CallFuture<Object> answer = new CallFuture<>();
    requestor.request(message, api == null ? request(message, parameters) : parameters, answer);
    return answer;
  }

  @Override
  public void close() throws IOException {
    transceiver.close();
  }

  private Object byInterface(String message, Object... parameters) throws Exception {
    switch (message) {
      case "getValue":
        return api.getValue((CharSequence) parameters[0]);
      case "setValue":
        api.setValue((CharSequence) parameters[0], (CharSequence) parameters[1]);
        return null;
      default:
        api.delete((CharSequence) parameters[0]);
        return null;
    }
  }

  private GenericRecord request(String message, Object... parameters) {
    return Values.request(protocol(), message, parameters);
  }

  private Map<String, Object> asked(String message, Object... parameters) throws IOException {
    Map<String, Object> told = new LinkedHashMap<>();
    told.put("client", name);
    told.put("message", message);
    told.put("request", Values.json(protocol().getMessages().get(message).getRequest(), request(message, parameters)));
    return told;
  }

  private void answered(Map<String, Object> told, String message, Object response) throws IOException {
    Schema schema = protocol().getMessages().get(message).getResponse();
    told.put("response", Values.json(schema, response));
  }

  private static void failed(Map<String, Object> told, Exception error) throws IOException {
    if (error instanceof AvroRemoteException remote && remote.getValue() instanceof GenericRecord declared) {
      told.put("failure", Values.json(declared.getSchema(), declared));
      return;
    }
    told.put("threw", error.getClass().getName());
    told.put("says", error.getMessage());
  }
}
