/** Bodies with an upper bound that holds while they arrive, not after. */

/** The body is larger than allowed. */
export class BodyTooLarge extends Error {
  override name = 'BodyTooLarge'
}

/** A body that errors with {@link BodyTooLarge} at the first byte over `limit`, and passes on everything before it. */
export function bounded(body: ReadableStream<Uint8Array>, limit: number): ReadableStream<Uint8Array> {
  let bytes = 0
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.byteLength
        if (bytes > limit) controller.error(new BodyTooLarge(`More than ${limit} bytes.`))
        else controller.enqueue(chunk)
      },
    }),
  )
}

/**
 * A whole body of at most `limit` bytes; `take` is told of each part as it comes, and may throw. Throws BodyTooLarge, what
 * `take` throws, or what the connection failed with.
 */
export async function readBounded(
  request: Pick<Request | Response, 'headers' | 'body'>,
  limit: number,
  take: (bytes: number) => void = () => {},
): Promise<Uint8Array> {
  // The announced length is believed only when it is too long; what arrives is counted in any case.
  if (Number(request.headers.get('content-length')) > limit) throw new BodyTooLarge(`More than ${limit} bytes.`)
  if (!request.body) return new Uint8Array()
  const chunks: Uint8Array[] = []
  for await (const chunk of bounded(request.body, limit)) {
    take(chunk.byteLength)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
