// Whether the peer of client.mjs is alive, and how far away: section 9 of ../protocol.md. Times are in milliseconds.

import { Code, End, Tag, u8 } from './wire.mjs'

const [EVERY, SILENCE] = [500, 15000]

export class Pulse {
  heard = performance.now(); wrote = performance.now(); gone = 0 // when bytes last came and went; how many went
  pinged = 0; answered = true; shortest = 1000; due = 0 // the oldest PING that is open; the best round trip

  check(now, socket) { // both what comes and what goes are signs of life
    const gone = socket.bytesWritten - socket.writableLength
    if (gone !== this.gone || !socket.writableLength) this.wrote = now
    this.gone = gone
    if (now - Math.min(this.heard, this.wrote) <= SILENCE) return
    throw new End(Code.SILENT, 'nothing has come, or gone, for 15 seconds')
  }

  ping(now, call) { // whether it was time for one
    if (now < this.due) return false
    this.due = now + EVERY
    if (this.answered) Object.assign(this, { pinged: now, answered: false })
    const data = u8(0, 0, 0, 0, 0, 0, 0, 0)
    data.writeDoubleBE(now)
    call.send(Tag.PING, data)
    return true
  }

  pong(data) {
    const pinged = data.readDoubleBE(0)
    if (!(pinged >= this.pinged)) return
    this.answered = true
    this.shortest = Math.min(this.shortest, performance.now() - pinged)
  }

  late(now) { // [8] whether what is sent now would come too late: the line is full
    return !this.answered && now - this.pinged > this.shortest + 100
  }
}
