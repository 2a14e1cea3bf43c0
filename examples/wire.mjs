// The numbers of the protocol, for client.mjs. Numbers in brackets are sections of ../protocol.md.

export const PREFACE = Buffer.from('VMUX/1\r\n')
export const Tag = { HELLO: 1, TEXT: 2, AUDIO: 3, PING: 4, PONG: 5, BYE: 6, TEXT_ACK: 7, REPORT: 8, RINGING: 9, CLAIM: 10,
  CHALLENGE: 11, PROOF: 12, WELCOME: 13 }
export const LEAST = [0, 0, 4, 8, 8, 8, 2, 4, 12, 0, 34, 32, 33, 1] // [5] bytes of payload, by tag
export const MOST = [0, 4096, 4096, 4096, 8, 8, 258, 4, 12, 0, 2337, 32, 4096, 1] // where there is no code
export const Code = { NORMAL: 0, BUSY: 1, PROTOCOL: 3, VERSION: 4, TIMEOUT: 5, FLOOD: 6, SECURITY: 9, UNKNOWN_CALLER: 10,
  WRONG_CODE: 11, SILENT: null } // [14] of a BYE; SILENT: none
export const GREASE = 0x5a // [13] a number that never means anything: sent so that peers learn to skip
export const ORDER = { // [6] what a peer may send in which state, beside BYE, and the state that follows
  STRANGER: { [Tag.CLAIM]: 'CLAIMING', [Tag.CHALLENGE]: 'CLAIMING' },
  CLAIMING: { [Tag.PROOF]: 'START', [Tag.WELCOME]: 'START' },
  START: { [Tag.RINGING]: 'START', [Tag.HELLO]: 'OPEN' },
  OPEN: Object.fromEntries(['TEXT', 'TEXT_ACK', 'AUDIO', 'PING', 'PONG', 'REPORT'].map((name) => [Tag[name], 'OPEN'])),
}
export const ONLY_FROM = { // [6]
  dialler: [Tag.CLAIM, Tag.PROOF],
  listener: [Tag.RINGING, Tag.CHALLENGE, Tag.WELCOME],
}
export const SECONDS = { PREFACE: 5, STRANGER: 10, CLAIMING: 10, START: 10, OPEN: Infinity } // [11] in a state

export class End extends Error { // why we end the call
  constructor(code, reason = '') { super(reason); this.code = code }
}
export const must = (fine, expected) => { if (!fine) throw new End(Code.PROTOCOL, `expected ${expected}`) }
export const note = (text) => console.error(`client: ${text}`)

export const u8 = (...numbers) => Buffer.from(numbers)
export const u16 = (number) => u8(number >> 8, number) // each byte is taken modulo 256
export const u32 = (number) => u8(number >> 24, number >> 16, number >> 8, number)
export const join = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)))

export function printable(bytes) { // [12] without control characters, line ends, and marks that turn the direction
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '')
  } catch {
    throw new End(Code.PROTOCOL, 'expected UTF-8')
  }
}

export function readHello(payload) { // [5.1] a name for people, and codecs; of a key that comes twice the first counts
  const items = new Map()
  while (payload.length) {
    must(payload.length >= 2 && payload.length >= 2 + payload[1], 'a HELLO of whole items')
    if (!items.has(payload[0])) items.set(payload[0], payload.subarray(2, 2 + payload[1]))
    payload = payload.subarray(2 + payload[1])
  }
  const [name, agent, codecs, session, lastText] = [1, 2, 3, 4, 5].map((key) => items.get(key))
  must((name ?? '').length <= 64 && (agent ?? '').length <= 64, 'names of at most 64 bytes')
  must((session?.length ?? 16) === 16 && (lastText?.length ?? 4) === 4, 'a session of 16 bytes and an id of 4')
  return { name: `${printable(name ?? u8())} ${printable(agent ?? u8())}`, codecs: codecs ?? u8(1) }
}
