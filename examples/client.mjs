#!/usr/bin/env node
// A voicemux client for text and PCM sound, with nothing but Node. README.md says how it is run.
// Numbers in brackets are sections of ../protocol.md. Layouts are in wire.mjs, who is who in encrypted.mjs, and the rest in
// text.mjs and sound.mjs.

import net from 'node:net'
import tls from 'node:tls'
import { parseArgs } from 'node:util'
import { Identity, Introduction } from './encrypted.mjs'
import { PCM, Recording, Voice } from './sound.mjs'
import { Text } from './text.mjs'
import { Code, End, GREASE, LEAST, MOST, ONLY_FROM, ORDER, PREFACE, SECONDS, Tag } from './wire.mjs'
import { join, must, note, printable, readHello, u16, u8 } from './wire.mjs'

let talking = null // the call that standard input belongs to

class Call { // `data` is what comes, `tick` what is due
  greeted = false; parted = false; closed = false; leaving = false; failure = ''; received = u8()
  pinged = 0; answered = true; shortest = 1000; nextPing = 0; gone = 0 // milliseconds; bytes

  constructor(socket, dialler, options, done) {
    Object.assign(this, { dialler, options, done, text: new Text(this) })
    if (options.audio) Object.assign(this, { voice: new Voice(options.play), recording: new Recording(options.record) })
    this.introduction = options.identity && new Introduction(this, options.identity)
    this.heard = this.wrote = performance.now()
    this.enter('PREFACE')
    this.timer = setInterval(() => this.guard(() => this.tick(performance.now())), 5)
    if (dialler) socket.once(options.plain ? 'connect' : 'secureConnect', () => this.guard(() => this.greet()))
    this.attach(socket)
  }

  attach(socket) {
    this.socket = socket.setNoDelay(true)
    socket.on('data', (bytes) => this.guard(() => this.data(bytes)))
    socket.on('end', () => this.guard(() => this.lost('the connection was lost')))
    socket.on('error', (error) => this.guard(() => this.lost(error.message)))
    socket.on('close', () => this.close())
  }

  guard(step) {
    try {
      if (!this.closed) step()
    } catch (error) {
      if (!(error instanceof End)) throw error
      this.part(error.code, error.message)
    }
  }

  lost(reason) {
    if (!this.parted) throw new End(Code.SILENT, reason)
  }

  enter(state) {
    if (state !== this.state) this.deadline = performance.now() + 1000 * (this.dialler && state === 'START' ? 60 : SECONDS[state])
    this.state = state
  }

  greet() { // [3] our preface; a dialler goes on without waiting for the answer
    if (this.dialler && this.introduction) this.introduction.look()
    this.greeted = true
    this.socket.write(PREFACE)
    if (this.dialler && this.introduction) this.introduction.claim()
    else if (this.dialler) this.hello()
  }

  hello() { // [5.1] our name, the program's, and what we can play; the last key means nothing
    const items = [[1, this.options.name], [2, 'client.mjs'], [3, u8(...(this.options.audio ? [PCM] : []))], [GREASE, '?']]
    this.send(Tag.HELLO, join(...items.map(([key, value]) => join(u8(key, join(value).length), value))))
  }

  send(tag, payload = u8(), flags = 0) { // [4] a frame; none after BYE
    if (!this.parted) this.socket.write(join(u16(payload.length), u8(tag, flags), payload))
  }

  part(code, reason = '') { // [10] BYE, and the end of our direction; what still comes is read for 2 seconds at most
    if (code !== Code.NORMAL) this.failure ||= reason
    if (code === Code.PROTOCOL) this.state = 'DONE'
    if (this.parted) return
    if (!this.greeted || code === Code.SILENT) return this.close()
    this.send(Tag.BYE, join(u16(code), reason))
    this.parted = true
    this.socket.end() // inside TLS `close_notify`, and then TCP's
    setTimeout(() => this.close(), 2000)
  }

  close() {
    if (this.closed) return
    this.closed = true
    clearInterval(this.timer)
    this.socket.destroy()
    if (talking === this) { talking = null; process.stdin.pause() }
    this.voice?.close()
    if (this.text.message) this.text.show()
    const lost = this.text.underWay.length
    if (this.failure || lost) note(`${this.failure || 'ended'}; ${lost} frames of text may not have arrived`)
    this.done(this.failure ? 1 : 0)
  }

  data(bytes) {
    this.heard = performance.now()
    if (this.state === 'DONE') return // [6] what follows a BYE
    this.received = join(this.received, bytes)
    if (this.state === 'PREFACE') this.preface()
    while (this.state in ORDER && this.frame());
    if (this.socket.writableLength > 262144) { // [12] memory: who does not read our answers is not heard
      this.socket.pause().once('drain', () => this.socket.resume())
    }
  }

  preface() { // [3] the first byte that does not fit shows that somebody else is there; the sixth is the version
    if (!this.dialler && this.received[0] === 0x16) return this.secure()
    const begin = this.received.subarray(0, 8)
    const fits = begin.every((byte, index) => byte === PREFACE[index] || (index === 5 && byte >= 48 && byte <= 57))
    if (!fits) throw new End(Code.SILENT, 'whoever is there does not speak voicemux')
    if (begin.length < 8) return
    this.received = this.received.subarray(8)
    if (!this.greeted) this.greet()
    if (begin[5] !== PREFACE[5]) throw new End(Code.VERSION, `expected version 1, got ${begin[5] - 48}`)
    if (this.introduction && !(this.socket instanceof tls.TLSSocket)) throw new End(Code.SECURITY, 'only encrypted calls are taken here')
    this.enter(this.introduction ? 'STRANGER' : 'START')
  }

  secure() { // a listener's first bytes are those of TLS
    if (!this.introduction) {
      this.greet()
      throw new End(Code.SECURITY, 'only plain calls are taken here')
    }
    const socket = this.socket.removeAllListeners('data').removeAllListeners('end').removeAllListeners('close')
    socket.pause().unshift(this.received)
    this.received = u8()
    this.attach(this.options.identity.answer(socket))
  }

  frame() { // [4] takes the next frame, if it has come whole
    if (this.received.length < 4) return false
    const [length, tag, flags] = [this.received.readUInt16BE(0), this.received[2], this.received[3]]
    must(length <= 4096 && tag, `a tag and 4096 bytes at most, got tag ${tag} and ${length} bytes`)
    if (this.received.length < 4 + length) return false
    const payload = this.received.subarray(4, 4 + length)
    this.received = this.received.subarray(4 + length)
    if (tag > Tag.WELCOME) return true // [13] unknown: skipped
    const next = tag === Tag.BYE ? 'DONE' : ORDER[this.state][tag]
    must(next && !ONLY_FROM[this.dialler ? 'dialler' : 'listener'].includes(tag), `something else in ${this.state} than tag ${tag}`)
    must(length >= LEAST[tag] && length <= MOST[tag], `${LEAST[tag]} to ${MOST[tag]} bytes of tag ${tag}, got ${length}`)
    this.enter(next)
    this.take(tag, flags, payload)
    return true
  }

  take(tag, flags, payload) {
    if (tag === Tag.CLAIM) this.introduction.claimed(payload)
    else if (tag === Tag.CHALLENGE) this.introduction.challenged(payload)
    else if (tag === Tag.PROOF) this.introduction.proved(payload)
    else if (tag === Tag.WELCOME) { this.introduction.welcomed(payload); this.hello() }
    else if (tag === Tag.HELLO) this.meet(readHello(payload))
    else if (tag === Tag.TEXT) this.text.read(payload, flags)
    else if (tag === Tag.TEXT_ACK) this.text.acknowledged(payload.readUInt32BE(0))
    else if (tag === Tag.AUDIO) this.recording?.hear(payload)
    else if (tag === Tag.PING) this.send(Tag.PONG, payload)
    else if (tag === Tag.PONG && payload.readDoubleBE(0) >= this.pinged) {
      this.answered = true
      this.shortest = Math.min(this.shortest, performance.now() - payload.readDoubleBE(0))
    } else if (tag === Tag.BYE) {
      const [code, reason] = [payload.readUInt16BE(0), printable(payload.subarray(2))]
      if (code) this.failure ||= `the other side ended the call: ${code} ${reason}`
      this.part(Code.NORMAL)
    }
  }

  meet({ name, codecs }) { // [5.1]
    if (talking) throw new End(Code.BUSY, 'in another call')
    if (!this.dialler) this.hello()
    if (!codecs.includes(PCM)) this.voice = null
    note(`in a call with ${name}`)
    talking = this
  }

  tick(now) {
    if (now > this.deadline) throw new End(this.greeted ? Code.TIMEOUT : Code.SILENT, 'waited too long')
    if (this.state !== 'OPEN' || this.parted) return
    const gone = this.socket.bytesWritten - this.socket.writableLength
    if (gone !== this.gone || !this.socket.writableLength) this.wrote = now
    this.gone = gone
    if (now - Math.min(this.heard, this.wrote) > 15000) throw new End(Code.SILENT, 'silence for 15 seconds') // [9]
    this.text.say()
    if (this.text.pieces.length) process.stdin.pause()
    else process.stdin.resume()
    if (now >= this.nextPing) this.ping(now)
    const late = !this.answered && now - this.pinged > this.shortest + 100 // [8] on a line that is too slow
    this.voice?.speak(now, this, late)
    if (this.leaving && !this.text.pieces.length && !(this.options.play && this.voice?.file)) this.part(Code.NORMAL)
  }

  ping(now) { // [9] twice a second, and with it what we hear, and grease
    if (this.answered) Object.assign(this, { pinged: now, answered: false })
    this.nextPing = now + 500
    const data = u8(0, 0, 0, 0, 0, 0, 0, 0)
    data.writeDoubleBE(now)
    this.send(Tag.PING, data)
    this.send(GREASE, 'skip me')
    if (this.recording?.expected != null) this.send(Tag.REPORT, this.recording.report())
  }

  typed(data) { // what is typed, or null: no more, which hangs up unless there was nothing at all
    if (data !== null) return this.text.type(data)
    if (this.text.typed) this.text.type('\n')
    this.leaving = this.text.typed !== null || Boolean(this.options.play)
  }
}

const { values: options, positionals: [role, ...address] } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: 'string', default: 'stranger' }, // what the other side sees
    once: { type: 'boolean' }, // listen for one call
    plain: { type: 'boolean' }, // no encryption
    key: { type: 'string', default: 'key.pem' }, // our key and certificate, made if it is missing
    'key-of-peer': { type: 'string' }, // a fingerprint: call or admit only this one
    audio: { type: 'boolean' }, play: { type: 'string' }, record: { type: 'string' }, // speak and hear; raw PCM files
  },
})
options.identity = options.plain ? null : new Identity(options.key, options['key-of-peer'])
const [port, host] = address.reverse()
process.stdin.setEncoding('utf8').on('data', (data) => talking.typed(data)).on('end', () => talking.typed(null)).pause()
process.once('SIGINT', () => { options.once = true; talking ? talking.part(Code.NORMAL) : process.exit(130) })
if (role === 'dial') {
  const socket = options.plain ? net.connect({ host, port, allowHalfOpen: true }) : options.identity.dial(host, port)
  new Call(socket, true, options, (code) => process.exit(code))
} else {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    new Call(socket, false, options, (code) => options.once && process.exit(code))
  })
  server.listen({ port, host }, () => note(`listening on port ${server.address().port}`))
}
