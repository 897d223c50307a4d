/**
 * Gives the memory of a body back now. Left to the garbage collector, it would be held until that has gone over everything
 * else, and for a few hundred of them a second it goes over everything all the time. Only for who has it alone: what is left is empty.
 */
export function giveBack({ buffer }: Uint8Array): void {
  // A smaller one may be part of what Node keeps for all that is small.
  if (buffer.byteLength > Buffer.poolSize && buffer instanceof ArrayBuffer) buffer.transfer(0)
}
