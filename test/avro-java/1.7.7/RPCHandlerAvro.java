package com.grayscaleconsulting.bitacora.rpc.avro;

import bitacora.OriginalProtocol;
import org.apache.avro.AvroRemoteException;
import org.apache.avro.Protocol;

/** The interface as Avro 1.7.7's compiler makes it of the original's protocol. */
public interface RPCHandlerAvro {
  Protocol PROTOCOL = Protocol.parse(OriginalProtocol.TEXT);

  CharSequence getValue(CharSequence key) throws AvroRemoteException;

  Void setValue(CharSequence key, CharSequence value) throws AvroRemoteException;

  Void delete(CharSequence key) throws AvroRemoteException;
}
