// One call of client.mjs. Numbers in brackets are sections of ../protocol.md.

import tls from 'node:tls'
import { Introduction } from './encrypted.mjs'
import { Pulse } from './pulse.mjs'
import { PCM, Recording, Voice } from './sound.mjs'
import { Text } from './text.mjs'
import { Code, End, GREASE, Incoming, PREFACE, SECONDS, Tag } from './wire.mjs'
import { join, note, printable, readHello, u16, u8, writeHello } from './wire.mjs'

const REASONS = { ERR_SSL_WRONG_VERSION_NUMBER: 'no TLS 1.3, perhaps a listener that takes plain calls only' }
export let talking = null // the call that standard input belongs to

export class Call { // `data` is what comes, `tick` what is due
  greeted = false; parted = false; closed = false; leaving = false; failure = ''
  text = new Text(this); pulse = new Pulse()

  constructor(socket, dialler, options, done) {
    Object.assign(this, { dialler, options, done, incoming: new Incoming(!dialler) })
    if (options.audio) {
      this.voice = new Voice(options.play)
      this.recording = new Recording(options.record)
    }
    this.introduction = options.identity && new Introduction(this, options.identity)
    this.enter('PREFACE')
    this.timer = setInterval(() => this.guard(() => this.tick(performance.now())), 5)
    if (dialler) socket.once(options.plain ? 'connect' : 'secureConnect', () => this.guard(() => this.greet()))
    this.attach(socket)
  }

  attach(socket) {
    this.socket = socket.setNoDelay(true)
    socket.on('data', (bytes) => this.guard(() => this.data(bytes)))
    socket.on('end', () => this.guard(() => this.lost('the connection was lost')))
    socket.on('error', (error) => this.guard(() => this.lost(REASONS[error.code] ?? error.message)))
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
    const seconds = this.dialler && state === 'START' ? 60 : SECONDS[state]
    if (state !== this.state) this.deadline = performance.now() + 1000 * seconds
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
    const codecs = this.options.audio ? u8(PCM) : u8()
    this.send(Tag.HELLO, writeHello([[1, this.options.name], [2, 'client.mjs'], [3, codecs], [GREASE, '?']]))
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
    if (lost) note(`the last ${lost} frames of text may not have arrived`)
    if (this.failure) note(this.failure)
    this.done(this.failure ? 1 : 0)
  }

  data(bytes) {
    this.pulse.heard = performance.now()
    if (this.state === 'DONE') return // [6] what follows a BYE
    this.incoming.add(bytes)
    if (this.state === 'PREFACE') this.preface()
    for (let frame; (frame = this.incoming.frame(this.state)); ) {
      this.enter(frame.next)
      this.take(frame)
    }
    if (this.socket.writableLength > 262144) { // [12] memory: who does not read our answers is not heard
      this.socket.pause().once('drain', () => this.socket.resume())
    }
  }

  preface() {
    if (!this.dialler && this.incoming.received[0] === 0x16) return this.secure()
    const preface = this.incoming.preface()
    if (!preface) return
    if (!this.greeted) this.greet()
    if (!preface.equals(PREFACE)) throw new End(Code.VERSION, 'expected version 1')
    const encrypted = this.socket instanceof tls.TLSSocket
    if (this.introduction && !encrypted) throw new End(Code.SECURITY, 'only encrypted calls are taken here')
    this.enter(encrypted ? 'STRANGER' : 'START')
  }

  secure() { // [3] a listener's first bytes are those of TLS
    if (!this.introduction) {
      this.greet()
      throw new End(Code.SECURITY, 'only plain calls are taken here')
    }
    for (const event of ['data', 'end', 'close']) this.socket.removeAllListeners(event)
    this.socket.pause().unshift(this.incoming.take(Infinity))
    this.attach(this.options.identity.answer(this.socket))
  }

  take({ tag, flags, payload }) {
    if (tag === Tag.CLAIM) this.introduction.claimed(payload)
    else if (tag === Tag.CHALLENGE) this.introduction.challenged(payload)
    else if (tag === Tag.PROOF) this.introduction.proved(payload)
    else if (tag === Tag.WELCOME) { this.introduction.welcomed(payload); this.hello() }
    else if (tag === Tag.HELLO) this.meet(readHello(payload))
    else if (tag === Tag.TEXT) this.text.read(payload, flags)
    else if (tag === Tag.TEXT_ACK) this.text.acknowledged(payload.readUInt32BE(0))
    else if (tag === Tag.AUDIO) this.recording?.hear(payload)
    else if (tag === Tag.PING) this.send(Tag.PONG, payload)
    else if (tag === Tag.PONG) this.pulse.pong(payload)
    else if (tag === Tag.BYE) {
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
    this.pulse.check(now, this.socket)
    this.text.say()
    if (this.text.pieces.length) process.stdin.pause()
    else process.stdin.resume()
    if (this.pulse.ping(now, this)) {
      this.send(GREASE, 'skip me')
      if (this.recording?.expected != null) this.send(Tag.REPORT, this.recording.report())
    }
    this.voice?.speak(now, this, this.pulse.late(now))
    if (this.leaving && !this.text.pieces.length && !(this.options.play && this.voice?.file)) this.part(Code.NORMAL)
  }

  typed(data) { // what is typed, or null: no more, which hangs up unless there was nothing at all
    if (data !== null) return this.text.type(data)
    if (this.text.typed) this.text.type('\n')
    this.leaving = this.text.typed !== null || Boolean(this.options.play)
  }
}
