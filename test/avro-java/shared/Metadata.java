package bitacora;

import org.apache.avro.ipc.RPCContext;
import org.apache.avro.ipc.RPCPlugin;

/** A plugin as tracing tools bring one: something more travels with every handshake and every call. */
final class Metadata extends RPCPlugin {
  @Override
  public void clientStartConnect(RPCContext context) {
    context.requestHandshakeMeta().put("client", Values.bytes("α"));
  }

  @Override
  public void serverConnecting(RPCContext context) {
    context.responseHandshakeMeta().put("server", Values.bytes("β"));
  }

  @Override
  public void clientSendRequest(RPCContext context) {
    context.requestCallMeta().put("trace", Values.bytes("1234"));
  }

  @Override
  public void serverSendResponse(RPCContext context) {
    context.responseCallMeta().put("took", Values.bytes(""));
  }
}
