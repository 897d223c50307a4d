/** What a gzip body says of itself: RFC 1952 section 2.3.1, ISIZE. */

const MIN_CHUNK_BYTES = 1024
const MAX_CHUNK_BYTES = 1024 * 1024 + 1

/**
 * The `chunkSize` for zlib by which a body comes out in one piece; within bounds, because its sender only says how long it
 * is. With zlib's own 16 KiB a large one takes nearly twice the time, and small ones would hold far more than they need.
 */
export function chunkSizeOf(gzipped: Uint8Array): number {
  const { buffer, byteOffset, length } = gzipped
  const said = length < 4 ? 0 : new DataView(buffer, byteOffset, length).getUint32(length - 4, true)
  // One more than there is: a chunk that is full to its end has zlib ask for another.
  return Math.min(Math.max(said + 1, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES)
}
