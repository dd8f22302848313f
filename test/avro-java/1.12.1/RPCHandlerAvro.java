package com.grayscaleconsulting.bitacora.rpc.avro;

import bitacora.OriginalProtocol;
import org.apache.avro.Protocol;

/** The interface as Avro 1.12.1's compiler makes it of the original's protocol: it declares no exceptions, and null is void. */
public interface RPCHandlerAvro {
  Protocol PROTOCOL = Protocol.parse(OriginalProtocol.TEXT);

  CharSequence getValue(CharSequence key);

  void setValue(CharSequence key, CharSequence value);

  void delete(CharSequence key);
}
