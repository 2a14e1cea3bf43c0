// The text of client.mjs: section 7 of ../protocol.md.

import { Code, End, Tag, join, must, printable, u32 } from './wire.mjs'

const [MORE, WINDOW, MESSAGE] = [1, 65536, 1048576] // a flag; bytes that may be under way, and in a message

export class Text {
  typed = null // the line that is being typed; null before the first
  pieces = [] // what waits for room in the window, as [flags, bytes]
  underWay = [] // the sizes of the frames that are not acknowledged
  said = 0; taken = 0 // the last ids
  message = '' // what has come of one that goes on

  constructor(call) {
    this.call = call
  }

  type(data) { // frames hold whole code points, at most 1024 bytes of them; a message has 1024 frames at most
    const lines = ((this.typed ?? '') + data).split('\n')
    this.typed = lines.pop()
    for (const line of lines) {
      const pieces = line.match(/[^]{1,256}/gu) ?? ['']
      pieces.forEach((piece, index) => {
        const goesOn = index + 1 < pieces.length && (index + 1) % 1024
        this.pieces.push([goesOn ? MORE : 0, Buffer.from(piece)])
      })
    }
  }

  say() { // what the window has room for
    while (this.pieces.length) {
      const [flags, bytes] = this.pieces[0]
      if (this.underWay.reduce((total, size) => total + size, 4 + bytes.length) > WINDOW) return
      this.pieces.shift()
      this.underWay.push(4 + bytes.length)
      this.call.send(Tag.TEXT, join(u32(++this.said), bytes), flags)
    }
  }

  read(payload, flags) {
    const [id, text] = [payload.readUInt32BE(0), printable(payload.subarray(4))]
    must(id <= this.taken + 1, `text ${this.taken + 1}, got ${id}`)
    if (id <= this.taken) return // a repetition
    this.taken = id
    this.message += text
    if (this.message.length > MESSAGE) throw new End(Code.FLOOD, 'expected shorter messages')
    if (!(flags & MORE)) this.show()
    this.call.send(Tag.TEXT_ACK, u32(id))
  }

  show() {
    console.log(this.message)
    this.message = ''
  }

  acknowledged(id) {
    must(id <= this.said, `an acknowledgement of ${this.said} at most, got ${id}`)
    this.underWay.splice(0, this.underWay.length - (this.said - id)) // a lower one than before: none
  }
}
