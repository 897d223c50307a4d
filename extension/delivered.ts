/** The PDFs this browser was given, kept so that "Open PDF" works after the run, offline and without asking again. */

const CACHE = 'resumes'
/** Newest resumes kept; at some 50 KB each this is about a megabyte. */
const KEPT = 20
const FILE_NAME = 'x-file-name'

// Cache Storage wants an http(s) URL as its key; `.invalid` can never be fetched by mistake. Not storage.local: it
// holds JSON, so a PDF would have to become base64 and share 10 MiB with the journal of open spans.
const keyOf = (runId: string) => `https://resume.invalid/${runId}`

/** Keeps a PDF under its run's ID, replacing an earlier one of the same run, and drops the oldest beyond 20. */
export async function storeDelivered(runId: string, fileName: string, bytes: ArrayBuffer | Uint8Array): Promise<void> {
  const cache = await caches.open(CACHE)
  const headers = { 'content-type': 'application/pdf', [FILE_NAME]: encodeURIComponent(fileName) }
  await cache.put(keyOf(runId), new Response(new Blob([bytes as BlobPart]), { headers }))
  // keys() lists in the order of insertion, and a replaced entry goes to the end (Service Workers specification).
  const keys = await cache.keys()
  await Promise.all(keys.slice(0, -KEPT).map((key) => cache.delete(key)))
}

/** The PDF of a run, typed `application/pdf`; undefined when it was never here or had to make room. */
export async function readDelivered(runId: string): Promise<{ fileName: string; blob: Blob } | undefined> {
  const cache = await caches.open(CACHE)
  const response = await cache.match(keyOf(runId))
  if (!response) return undefined
  const fileName = decodeURIComponent(response.headers.get(FILE_NAME) ?? 'resume.pdf')
  return { fileName, blob: new Blob([await response.arrayBuffer()], { type: 'application/pdf' }) }
}

/** Deletes them all. */
export async function forgetDelivered(): Promise<void> {
  await caches.delete(CACHE)
}

/** IDs of the runs whose PDF is here. */
export async function deliveredIds(): Promise<Set<string>> {
  const keys = await (await caches.open(CACHE)).keys()
  return new Set(keys.map(({ url }) => url.slice(keyOf('').length)))
}
