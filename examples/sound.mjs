// The sound of client.mjs, section 8 of ../protocol.md: files of signed 16-bit little endian, 48 kHz, mono.

import fs from 'node:fs'
import { Tag, join, u16, u32, u8 } from './wire.mjs'

export const PCM = 1 // a codec
const PACKET = 960 // samples in 20 ms

export class Voice { // ours, from a file, or silence. Packets count even if they are not sent: so loss is not silence
  sequence = 0; timestamp = 0; due = 0

  constructor(file) {
    this.file = fs.openSync(file ?? '/dev/zero')
  }

  speak(now, call, late) { // the packet that is due, if one is; the last is empty: silence begins there
    if (this.file === null || now < this.due) return
    const samples = Buffer.alloc(2 * PACKET)
    const length = fs.readSync(this.file, samples)
    const header = join(u8(PCM, 0), u16(this.sequence), u32(this.timestamp))
    if (!late) call.send(Tag.AUDIO, join(header, length ? samples : u8()))
    this.sequence = (this.sequence + 1) % 2 ** 16
    this.timestamp = (this.timestamp + PACKET) % 2 ** 32
    this.due = Math.max(this.due, now - 100) + 20 // after a hold-up, no more than five at once
    if (!length) this.close()
  }

  close() {
    if (this.file !== null) fs.closeSync(this.file)
    this.file = null
  }
}

export class Recording { // theirs, appended to a file; what is missing is silence in it, of ten seconds at most
  sequence = 0; expected = null

  constructor(file) {
    this.file = file ?? '/dev/null'
  }

  hear(payload) {
    const [codec, source, samples] = [payload[0], payload[1], payload.subarray(8)]
    if (codec !== PCM || source || samples.length % 2) return // taken as lost
    const timestamp = payload.readUInt32BE(4)
    const ahead = this.expected === null ? 0 : (timestamp - this.expected) >>> 0
    if (ahead >= 2 ** 31) return // late, or doubled
    fs.appendFileSync(this.file, join(Buffer.alloc(2 * Math.min(ahead, 480000)), samples))
    this.sequence = payload.readUInt16BE(2)
    this.expected = (timestamp + samples.length / 2) % 2 ** 32
  }

  report() { // [5.7] what is heard is written down at once: no delay
    return join(u8(0, 0), u16(this.sequence), u32(this.expected), u16(0), u16(0))
  }
}
