/**
 * What Tectonic may not ask the kernel for, should somebody find a way to make it run code of theirs: new processes,
 * sockets, and the calls by which sandboxes are left. A filter (seccomp) that bubblewrap loads just before it starts
 * Tectonic, as classic BPF for x86-64; on other processors there is none.
 */

import { endianness } from 'node:os'

const AUDIT_ARCH_X86_64 = 0xc000_003e
const X32_BIT = 0x4000_0000
const CLONE = 56
const CLONE3 = 435
const CLONE_THREAD = 0x1_0000

/** By number, from asm/unistd_64.h. execve is not among them: it is how Tectonic is started, and it finds nothing else. */
const REFUSED = {
  socket: 41,
  socketpair: 53,
  fork: 57,
  vfork: 58,
  ptrace: 101,
  mount: 165,
  umount2: 166,
  add_key: 248,
  request_key: 249,
  keyctl: 250,
  unshare: 272,
  perf_event_open: 298,
  setns: 308,
  process_vm_readv: 310,
  process_vm_writev: 311,
  bpf: 321,
  userfaultfd: 323,
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
}

// linux/bpf_common.h, linux/seccomp.h, asm-generic/errno.h
const LOAD = 0x20
const JUMP_IF_EQUAL = 0x15
const JUMP_IF_GREATER_OR_EQUAL = 0x35
const JUMP_IF_SET = 0x45
const RETURN = 0x06
const ALLOW = 0x7fff_0000
const KILL = 0x8000_0000
const FAIL_WITH = 0x0005_0000
const EPERM = 1
const ENOSYS = 38
/** Where the kernel puts them: the call's number, the processor, and the low half of the first argument. */
const AT = { number: 0, architecture: 4, firstArgument: 16 }

type Instruction = [code: number, ifTrue: number, ifFalse: number, operand: number]

/** The filter, or undefined where it would not fit the processor. */
export const SYSTEM_CALL_FILTER: Buffer | undefined =
  process.platform === 'linux' && process.arch === 'x64' && endianness() === 'LE' ? assemble(filter()) : undefined

function filter(): Instruction[] {
  const refuse: Instruction = [RETURN, 0, 0, FAIL_WITH | EPERM]
  return [
    [LOAD, 0, 0, AT.architecture],
    [JUMP_IF_EQUAL, 1, 0, AUDIT_ARCH_X86_64],
    [RETURN, 0, 0, KILL],
    [LOAD, 0, 0, AT.number],
    [JUMP_IF_GREATER_OR_EQUAL, 0, 1, X32_BIT],
    [RETURN, 0, 0, KILL],
    ...Object.values(REFUSED).flatMap((number): Instruction[] => [[JUMP_IF_EQUAL, 0, 1, number], refuse]),
    // Its flags lie in memory, where a filter cannot look; told that there is no such call, the C library takes clone.
    [JUMP_IF_EQUAL, 0, 1, CLONE3],
    [RETURN, 0, 0, FAIL_WITH | ENOSYS],
    [JUMP_IF_EQUAL, 0, 3, CLONE],
    [LOAD, 0, 0, AT.firstArgument],
    [JUMP_IF_SET, 1, 0, CLONE_THREAD],
    refuse,
    [RETURN, 0, 0, ALLOW],
  ]
}

/** struct sock_filter: 16 bits of code, two jumps of 8, an operand of 32. */
function assemble(instructions: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(instructions.length * 8)
  for (const [index, [code, ifTrue, ifFalse, operand]] of instructions.entries()) {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(ifTrue, index * 8 + 2)
    bytes.writeUInt8(ifFalse, index * 8 + 3)
    bytes.writeUInt32LE(operand >>> 0, index * 8 + 4)
  }
  return bytes
}
