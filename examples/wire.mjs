// The numbers of the protocol, for client.mjs. Numbers in brackets are sections of ../protocol.md.

export const PREFACE = Buffer.from('VMUX/1\r\n')
export const Tag = { // [5]
  HELLO: 1, TEXT: 2, AUDIO: 3, PING: 4, PONG: 5, BYE: 6, TEXT_ACK: 7, REPORT: 8, RINGING: 9,
  CLAIM: 10, CHALLENGE: 11, PROOF: 12, WELCOME: 13,
}
const NAMES = ['', ...Object.keys(Tag)]
const LEAST = [0, 0, 4, 8, 8, 8, 2, 4, 12, 0, 34, 32, 33, 1] // [5] bytes of payload, by tag
const MOST = [0, 4096, 4096, 4096, 8, 8, 258, 4, 12, 0, 2337, 32, 4096, 1] // where there is no code
export const Code = { // [14] of a BYE; SILENT: none is sent
  NORMAL: 0, BUSY: 1, PROTOCOL: 3, VERSION: 4, TIMEOUT: 5, FLOOD: 6, SECURITY: 9, UNKNOWN_CALLER: 10, WRONG_CODE: 11,
  SILENT: null,
}
export const GREASE = 0x5a // [13] a number that never means anything: sent so that peers learn to skip
const ORDER = { // [6] what a peer may send in which state, beside BYE, and the state that follows
  STRANGER: { [Tag.CLAIM]: 'CLAIMING', [Tag.CHALLENGE]: 'CLAIMING' },
  CLAIMING: { [Tag.PROOF]: 'START', [Tag.WELCOME]: 'START' },
  START: { [Tag.RINGING]: 'START', [Tag.HELLO]: 'OPEN' },
  OPEN: Object.fromEntries([2, 3, 4, 5, 7, 8].map((tag) => [tag, 'OPEN'])),
}
const ONLY_FROM_DIALLER = [Tag.CLAIM, Tag.PROOF]
const ONLY_FROM_LISTENER = [Tag.RINGING, Tag.CHALLENGE, Tag.WELCOME]
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

export function readHello(payload) { // [5.1] name and codecs; of a key that comes twice the first counts
  const items = new Map()
  while (payload.length) {
    must(payload.length >= 2 && payload.length >= 2 + payload[1], 'a HELLO of whole items')
    if (!items.has(payload[0])) items.set(payload[0], payload.subarray(2, 2 + payload[1]))
    payload = payload.subarray(2 + payload[1])
  }
  const [name, agent, codecs, session, lastText] = [1, 2, 3, 4, 5].map((key) => items.get(key))
  must((name ?? '').length <= 64 && (agent ?? '').length <= 64, 'names of at most 64 bytes')
  must((session?.length ?? 16) === 16 && (lastText?.length ?? 4) === 4, 'a session of 16 bytes and an id of 4')
  return { name: `${printable(name ?? u8()) || 'somebody'} (${printable(agent ?? u8())})`, codecs: codecs ?? u8(1) }
}

export const writeHello = (items) => join(...items.map(([key, value]) => join(u8(key, join(value).length), value)))

export class Incoming { // the bytes of the peer, however they are cut, made into preface and frames
  received = u8()

  constructor(byDialler) {
    this.forbidden = byDialler ? ONLY_FROM_LISTENER : ONLY_FROM_DIALLER
  }

  add(bytes) {
    this.received = join(this.received, bytes)
  }

  take(count) {
    const bytes = this.received.subarray(0, count)
    this.received = this.received.subarray(count)
    return bytes
  }

  preface() { // [3] when it is whole. The first byte that does not fit shows that somebody else is there
    const fits = (byte, index) => index >= 5 || byte === PREFACE[index]
    const begin = this.received.subarray(0, 8)
    if (!begin.every(fits)) throw new End(Code.SILENT, 'whoever is there does not speak voicemux')
    return this.received.length < 8 ? null : this.take(8)
  }

  frame(state) { // [4] the next one of a tag that we know, when it is whole; [6] what is out of order is an error
    while (this.received.length >= 4 && state in ORDER) {
      const [length, tag, flags] = [this.received.readUInt16BE(0), this.received[2], this.received[3]]
      must(length <= 4096 && tag, `a tag and 4096 bytes at most, got tag ${tag} and ${length} bytes`)
      if (this.received.length < 4 + length) return null
      const payload = this.take(4 + length).subarray(4)
      if (tag > Tag.WELCOME) continue
      const next = tag === Tag.BYE ? 'DONE' : ORDER[state][tag]
      const names = Object.keys(ORDER[state]).map((tag) => NAMES[tag]).join(', ')
      must(next && !this.forbidden.includes(tag), `${names} or BYE, got ${NAMES[tag]}`)
      const [least, most] = [LEAST[tag], MOST[tag]]
      must(length >= least && length <= most, `${least} to ${most} bytes of tag ${tag}, got ${length}`)
      return { tag, flags, payload, next }
    }
    return null
  }
}
