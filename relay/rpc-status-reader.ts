/** Reads what refusals of spans say; for tests. */
import protobuf from 'protobufjs'
import { CONTENT_TYPES } from './otlp.ts'

/** A google.rpc.Status, in whichever encoding the answer says. Throws an Error for any other. */
export async function readStatus(answer: Response): Promise<{ code: number; message: string }> {
  const type = answer.headers.get('content-type')
  if (type === CONTENT_TYPES.json) return answer.json()
  if (type !== CONTENT_TYPES.protobuf) throw new Error(`Neither encoding: ${type}`)
  const reader = protobuf.Reader.create(new Uint8Array(await answer.arrayBuffer()))
  const status = { code: 0, message: '' }
  while (reader.pos < reader.len) {
    const field = reader.uint32() >>> 3
    if (field === 1) status.code = reader.int32()
    else status.message = reader.string()
  }
  return status
}
