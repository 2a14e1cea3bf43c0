-- voicemux in Wireshark: names what is in a plain call, and flags what protocol.md calls a protocol error.
--
-- Install: copy this file to ~/.local/lib/wireshark/plugins/, or run `tshark -X lua_script:contrib/voicemux.lua`.
-- As root, Wireshark 4.4 and later ignore scripts without a word: run it as another user (captures need no root to
-- be read: `setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/tmp tshark -r FILE ...`).
-- Filter:  voicemux.tag == 2 (TEXT), voicemux.fault (what breaks the protocol), voicemux.delivery (wrong text ids).
-- Plain calls are found on any port, by their first 8 bytes. For captures with segments out of order, turn on
-- "Reassemble out-of-order segments" of TCP (-o tcp.reassemble_out_of_order:TRUE).
-- Encrypted calls show as TLS 1.3, and nothing more can be seen: "Decode As" would need the keys of an
-- SSLKEYLOGFILE, and voicemux does not write one. What has been decrypted already (by a proxy that ends TLS, say) has
-- CLAIM and CHALLENGE, which are wrong in a plain call: turn the preference on (-o voicemux.decrypted:TRUE).

local PREFACE, LONGEST, CODE = "VMUX/1\r\n", 4096, 2

local TAGS = {"HELLO", "TEXT", "AUDIO", "PING", "PONG", "BYE", "TEXT_ACK", "REPORT", "RINGING", "CLAIM", "CHALLENGE",
  "PROOF", "WELCOME", "PATHS", [19] = "ARRIVALS", [20] = "STATE"}
local KEYS = {"name", "agent", "codecs", "session", "last_text", [7] = "grace", [8] = "paths", [11] = "channels"}
local CODECS = {"PCM", "Opus", "PCM_STEREO"}
local CODES = {[0] = "NORMAL", "BUSY", "DECLINED", "PROTOCOL", "VERSION", "TIMEOUT", "FLOOD", "INTERNAL", "REPLACED",
  "SECURITY", "UNKNOWN_CALLER", "WRONG_CODE", "GONE", [16] = "LATER"}
local PATHS = {"OWN", "SEEN", "MAPPED"}
local METHODS = {[0] = "OPEN", "KNOWN", "CODE"}

local voicemux = Proto("voicemux", "voicemux call")
voicemux.prefs.port = Pref.uint("TCP port", 8689, "Plain calls on other ports are found by their preface")
voicemux.prefs.decrypted = Pref.bool("Decrypted calls", false, "Calls are the inside of encrypted ones")

local field = {
  preface = ProtoField.string("voicemux.preface", "Preface"),
  length = ProtoField.uint16("voicemux.length", "Length", base.DEC),
  tag = ProtoField.uint8("voicemux.tag", "Tag", base.DEC, TAGS),
  flags = ProtoField.uint8("voicemux.flags", "Flags", base.HEX),
  more = ProtoField.bool("voicemux.flags.more", "More of this message follows", 8, nil, 1),
  payload = ProtoField.bytes("voicemux.payload", "Payload"),
  item = ProtoField.uint8("voicemux.hello.key", "Item", base.DEC, KEYS),
  item_length = ProtoField.uint8("voicemux.hello.length", "Length", base.DEC),
  item_value = ProtoField.bytes("voicemux.hello.value", "Value"),
  name = ProtoField.string("voicemux.hello.name", "Name", base.UNICODE),
  agent = ProtoField.string("voicemux.hello.agent", "Agent", base.UNICODE),
  session = ProtoField.bytes("voicemux.hello.session", "Session"),
  last_text = ProtoField.uint32("voicemux.hello.last_text", "Last text", base.DEC),
  grace = ProtoField.uint16("voicemux.hello.grace", "Grace (s)", base.DEC),
  channels = ProtoField.uint8("voicemux.hello.channels", "Channels", base.DEC),
  id = ProtoField.uint32("voicemux.id", "Id", base.DEC),
  text = ProtoField.string("voicemux.text", "Text", base.UNICODE),
  codec = ProtoField.uint8("voicemux.codec", "Codec", base.DEC, CODECS),
  source = ProtoField.uint8("voicemux.source", "Source", base.DEC),
  sequence = ProtoField.uint16("voicemux.sequence", "Sequence", base.DEC),
  timestamp = ProtoField.uint32("voicemux.timestamp", "Timestamp (1/48000 s)", base.DEC),
  data = ProtoField.bytes("voicemux.data", "Data"),
  code = ProtoField.uint16("voicemux.code", "Code", base.DEC, CODES),
  reason = ProtoField.string("voicemux.reason", "Reason", base.UNICODE),
  reserved = ProtoField.uint8("voicemux.reserved", "Reserved", base.HEX),
  delay = ProtoField.uint16("voicemux.delay", "Delay (ms)", base.DEC),
  target = ProtoField.uint16("voicemux.target", "Target (ms)", base.DEC),
  least = ProtoField.uint16("voicemux.least", "Least transit (ms, modulo 65536)", base.DEC),
  most = ProtoField.uint16("voicemux.most", "Most transit (ms, modulo 65536)", base.DEC),
  state = ProtoField.uint8("voicemux.state", "State", base.HEX),
  muted = ProtoField.bool("voicemux.state.muted", "Muted", 8, nil, 1),
  deafened = ProtoField.bool("voicemux.state.deafened", "Deafened", 8, nil, 2),
  records = ProtoField.bool("voicemux.state.records", "Records what it hears", 8, nil, 4),
  voice = ProtoField.bool("voicemux.state.voice", "Has voice to send", 8, nil, 8),
  path = ProtoField.uint8("voicemux.path", "Path", base.DEC, PATHS),
  family = ProtoField.uint8("voicemux.path.family", "Family", base.DEC),
  port = ProtoField.uint16("voicemux.path.port", "Port", base.DEC),
  ipv4 = ProtoField.ipv4("voicemux.path.ipv4", "Address"),
  ipv6 = ProtoField.ipv6("voicemux.path.ipv6", "Address"),
  method = ProtoField.uint8("voicemux.method", "Method", base.DEC, METHODS),
  commitment = ProtoField.bytes("voicemux.commitment", "Commitment"),
  share_length = ProtoField.uint8("voicemux.share_length", "Length", base.DEC),
  share = ProtoField.bytes("voicemux.share", "Share"),
  certificate = ProtoField.bytes("voicemux.certificate", "Certificate"),
  nonce = ProtoField.bytes("voicemux.nonce", "Nonce"),
  confirmation_length = ProtoField.uint8("voicemux.confirmation_length", "Length", base.DEC),
  confirmation = ProtoField.bytes("voicemux.confirmation", "Confirmation"),
  signature = ProtoField.bytes("voicemux.signature", "Signature"),
  admitted = ProtoField.uint8("voicemux.admitted", "Admitted", base.DEC, METHODS),
}
local fields = {}
for _, each in pairs(field) do fields[#fields + 1] = each end
voicemux.fields = fields

local expert = {
  fault = ProtoExpert.new("voicemux.fault", "Protocol error", expert.group.PROTOCOL, expert.severity.ERROR),
  delivery = ProtoExpert.new("voicemux.delivery", "Text delivery", expert.group.SEQUENCE, expert.severity.ERROR),
  ignored = ProtoExpert.new("voicemux.ignored", "Ignored", expert.group.PROTOCOL, expert.severity.NOTE),
}
voicemux.experts = {expert.fault, expert.delivery, expert.ignored}

local function is_utf8(bytes)
  local at = 1
  while at <= #bytes do
    local lead, second = bytes:byte(at, at + 1)
    local more = lead < 0x80 and 0 or lead >= 0xc2 and lead < 0xe0 and 1 or lead >= 0xe0 and lead < 0xf0 and 2
      or lead >= 0xf0 and lead < 0xf5 and 3
    if not more or #bytes < at + more then return false end
    for index = at + 1, at + more do
      local byte = bytes:byte(index)
      if byte < 0x80 or byte > 0xbf then return false end
    end
    -- RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF
    if lead == 0xe0 and second < 0xa0 or lead == 0xed and second > 0x9f or lead == 0xf0 and second < 0x90
      or lead == 0xf4 and second > 0x8f then return false end
    at = at + more + 1
  end
  return true
end

local function text(tree, what, range, limit)
  if range:len() == 0 then return "" end
  tree:add(what, range, range:raw())
  if limit and range:len() > limit then return nil, "at most " .. limit .. " bytes expected, got " .. range:len() end
  if not is_utf8(range:raw()) then return nil, "UTF-8 expected" end
  return range:raw()
end

local function rest(range, from) return range:len() > from and range(from) or nil end

-- Each takes (payload or nil, tree, message, flags), fills the message, and returns its summary, or nil and the fault.
local decode = {}

function decode.HELLO(payload, tree, message)
  local at, size, summary = 0, payload and payload:len() or 0, ""
  local seen = {}
  while at < size do
    if size - at < 2 or size - at - 2 < payload(at + 1, 1):uint() then
      return nil, "HELLO item runs over the end of the payload"
    end
    local key, length = payload(at, 1):uint(), payload(at + 1, 1):uint()
    local item = tree:add(field.item, payload(at, 1))
    item:add(field.item_length, payload(at + 1, 1))
    local value = length > 0 and payload(at + 2, length)
    if seen[key] or not KEYS[key] then -- of a key that comes twice the first counts
      if value then item:add(field.item_value, value) end
    elseif key == 1 or key == 2 then
      local words, fault = "", nil
      if value then words, fault = text(item, field[KEYS[key]], value, 64) end
      if fault then return nil, "HELLO " .. KEYS[key] .. ": " .. fault end
      if key == 1 then summary = " " .. words end
    elseif key == 3 then
      for index = 0, length - 1 do item:add(field.codec, value(index, 1)) end
    elseif key == 4 then
      if length ~= 16 then return nil, "HELLO session: 16 bytes expected, got " .. length end
      item:add(field.session, value)
      message.session = true
    elseif key == 5 then
      if length ~= 4 then return nil, "HELLO last_text: 4 bytes expected, got " .. length end
      item:add(field.last_text, value)
      message.last_text = value:uint()
    elseif key == 7 then
      if length ~= 2 then return nil, "HELLO grace: 2 bytes expected, got " .. length end
      item:add(field.grace, value)
    elseif key == 8 then
      if length ~= 0 then return nil, "HELLO paths: 0 bytes expected, got " .. length end
    elseif key == 11 then
      if length ~= 1 then return nil, "HELLO channels: 1 byte expected, got " .. length end
      item:add(field.channels, value)
    end
    seen[key] = true
    at = at + 2 + length
  end
  return summary
end

function decode.TEXT(payload, tree, message, flags)
  tree:add(field.id, payload(0, 4))
  message.id = payload(0, 4):uint()
  local words, fault = "", nil
  if rest(payload, 4) then words, fault = text(tree, field.text, payload(4)) end
  if fault then return nil, "TEXT: " .. fault end
  return string.format(' %d "%s"%s', message.id, words, flags % 2 == 1 and " ..." or "")
end

function decode.AUDIO(payload, tree)
  tree:add(field.codec, payload(0, 1))
  tree:add(field.source, payload(1, 1))
  tree:add(field.sequence, payload(2, 2))
  tree:add(field.timestamp, payload(4, 4))
  if rest(payload, 8) then tree:add(field.data, payload(8)) end
  local codec = payload(0, 1):uint()
  return string.format(" #%d %s %s", payload(2, 2):uint(), CODECS[codec] or "codec " .. codec,
    payload:len() > 8 and payload:len() - 8 .. " bytes" or "silence begins")
end

function decode.PING(payload, tree) tree:add(field.data, payload) return "" end
decode.PONG = decode.PING

function decode.BYE(payload, tree)
  tree:add(field.code, payload(0, 2))
  local words, fault = "", nil
  if rest(payload, 2) then words, fault = text(tree, field.reason, payload(2), 256) end
  if fault then return nil, "BYE reason: " .. fault end
  local code = payload(0, 2):uint()
  return " " .. (CODES[code] or code .. " (as INTERNAL)") .. (words ~= "" and ' "' .. words .. '"' or "")
end

function decode.TEXT_ACK(payload, tree, message)
  tree:add(field.id, payload)
  message.id = payload:uint()
  return " " .. message.id
end

function decode.REPORT(payload, tree)
  tree:add(field.source, payload(0, 1))
  tree:add(field.reserved, payload(1, 1))
  tree:add(field.sequence, payload(2, 2))
  tree:add(field.timestamp, payload(4, 4))
  tree:add(field.delay, payload(8, 2))
  tree:add(field.target, payload(10, 2))
  return string.format(" #%d %d ms", payload(2, 2):uint(), payload(8, 2):uint())
end

function decode.ARRIVALS(payload, tree)
  tree:add(field.source, payload(0, 1))
  tree:add(field.reserved, payload(1, 1))
  tree:add(field.sequence, payload(2, 2))
  tree:add(field.least, payload(4, 2))
  tree:add(field.most, payload(6, 2))
  local spread = (payload(6, 2):uint() - payload(4, 2):uint()) % 65536
  return string.format(" #%d %d ms apart", payload(2, 2):uint(), spread)
end

function decode.STATE(payload, tree)
  tree:add(field.source, payload(0, 1))
  local bits, summary = tree:add(field.state, payload(1, 1)), ""
  for _, name in ipairs({"voice", "muted", "deafened", "records"}) do
    bits:add(field[name], payload(1, 1))
  end
  local value = payload(1, 1):uint()
  for index, name in ipairs({"muted", "deafened", "records", "voice"}) do
    if math.floor(value / 2 ^ (index - 1)) % 2 == 1 then summary = summary .. " " .. name end
  end
  return summary == "" and " nothing" or summary
end

function decode.PATHS(payload, tree, _, flags)
  local at, size, count = 0, payload and payload:len() or 0, 0
  while at < size do
    if size - at < 4 then return nil, "PATHS item runs over the end of the payload" end
    local length = ({[4] = 4, [6] = 16})[payload(at + 1, 1):uint()]
    if not length then return nil, "PATHS family: 4 or 6 expected, got " .. payload(at + 1, 1):uint() end
    if size - at < 4 + length then return nil, "PATHS item runs over the end of the payload" end
    local item = tree:add(field.path, payload(at, 1))
    item:add(field.family, payload(at + 1, 1))
    item:add(field.port, payload(at + 2, 2))
    item:add(length == 4 and field.ipv4 or field.ipv6, payload(at + 4, length))
    at, count = at + 4 + length, count + 1
  end
  if count > 8 then return nil, "PATHS: at most 8 addresses expected, got " .. count end
  return " " .. count .. (flags % 2 == 1 and " now" or "")
end

function decode.RINGING() return "" end

-- The bytes from `at` on, at most `length` of them; how many are there.
local function bytes(tree, what, payload, at, length)
  local size = math.min(length or LONGEST, payload:len() - at)
  if size > 0 then tree:add(what, payload(at, size)) end
  return size
end

-- Both return their summary, or nil and the fault.
local function method(what, number)
  if not METHODS[number] then return nil, what .. ": 0, 1 or 2 expected, got " .. number end
  return " " .. METHODS[number]
end

local function counted(tree, what, length, payload, at)
  local said = payload(at, 1):uint()
  tree:add(length, payload(at, 1))
  if bytes(tree, what, payload, at + 1, said) < said then return nil, "runs over the end of the payload" end
  return said
end

function decode.CLAIM(payload, tree, message)
  tree:add(field.method, payload(0, 1))
  tree:add(field.commitment, payload(1, 32))
  message.method = payload(0, 1):uint()
  local share, fault = counted(tree, field.share, field.share_length, payload, 33)
  if fault then return nil, "CLAIM share " .. fault end
  message.of_code = share > 0
  local certificate = bytes(tree, field.certificate, payload, 34 + share)
  if certificate > 2048 then return nil, "CLAIM certificate: at most 2048 bytes expected, got " .. certificate end
  return method("CLAIM method", message.method)
end

function decode.CHALLENGE(payload, tree, message)
  tree:add(field.nonce, payload(0, 32))
  message.of_code = bytes(tree, field.share, payload, 32) > 0
  return ""
end

function decode.PROOF(payload, tree, message)
  tree:add(field.nonce, payload(0, 32))
  local confirmation, fault = counted(tree, field.confirmation, field.confirmation_length, payload, 32)
  if fault then return nil, "PROOF confirmation " .. fault end
  message.of_code = confirmation > 0
  bytes(tree, field.signature, payload, 33 + confirmation)
  return ""
end

function decode.WELCOME(payload, tree, message)
  tree:add(field.admitted, payload(0, 1))
  message.of_code = bytes(tree, field.confirmation, payload, 1) > 0
  return method("WELCOME admitted", payload(0, 1):uint())
end

-- The least and the most bytes of payload.
local SIZES = {HELLO = {0, LONGEST}, TEXT = {4, LONGEST}, AUDIO = {8, LONGEST}, PING = {8, 8}, PONG = {8, 8},
  BYE = {2, LONGEST}, TEXT_ACK = {4, 4}, REPORT = {12, 12}, RINGING = {0, 0}, CLAIM = {34, LONGEST},
  CHALLENGE = {32, 287}, PROOF = {33, LONGEST}, WELCOME = {1, LONGEST}, ARRIVALS = {8, 8}, STATE = {2, 2},
  PATHS = {0, LONGEST}}

local function decoded(payload, size, name, tree, message, flags)
  local least, most = SIZES[name][1], SIZES[name][2]
  if size < least or size > most then
    return nil, name .. ": " .. (least == most and least or least .. " to " .. most) .. " bytes expected, got " .. size
  end
  return decode[name](payload, tree, message, flags)
end

-- Of each state, what may be said in it, and the state that follows.
local ORDER = {
  STRANGER = {CLAIM = "CLAIMING", CHALLENGE = "CLAIMING", BYE = "DONE"},
  CLAIMING = {PROOF = "START", WELCOME = "START", BYE = "DONE"},
  START = {RINGING = "START", HELLO = "OPEN", BYE = "DONE"},
  OPEN = {TEXT = "OPEN", TEXT_ACK = "OPEN", AUDIO = "OPEN", PING = "OPEN", PONG = "OPEN", REPORT = "OPEN",
    ARRIVALS = "OPEN", STATE = "OPEN", PATHS = "OPEN", BYE = "DONE"},
}
local WHEN = {STRANGER = " before CLAIM and CHALLENGE", CLAIMING = " before PROOF and WELCOME", START = " before HELLO",
  OPEN = " after HELLO"}
local DIALLERS, LISTENERS = {CLAIM = true, PROOF = true}, {CHALLENGE = true, WELCOME = true, RINGING = true}

local function order(own, name, is_dialler)
  local is_others = is_dialler and LISTENERS[name] or not is_dialler and DIALLERS[name]
  if ORDER[own.state][name] and not is_others then return end
  return "out of order: " .. name .. WHEN[own.state] .. (is_dialler and " from the dialler" or " from the listener")
end

-- What is for a code only, in a call without one.
local function authentication(call, name, message)
  call.method = call.method or message.method
  if message.of_code and call.method and call.method ~= CODE then
    return name .. ": nothing for a code expected, since the method is " .. METHODS[call.method]
  end
end

local function delivery(own, peer, name, message)
  if name == "TEXT" then
    -- whoever resumes goes on behind the last id that the other has; before its HELLO that may be any
    local last = own.last or peer.state ~= "START" and (peer.last_text or 0) or own.resumes and message.id - 1 or 0
    own.last = math.max(last, message.id)
    if message.id > last + 1 then return string.format("TEXT %d expected, got %d", last + 1, message.id) end
  elseif name == "TEXT_ACK" then
    local sent = math.max(peer.last or 0, own.last_text or 0)
    if message.id > sent then
      return string.format("TEXT_ACK of %d, which was never sent (the last was %d)", message.id, sent)
    end
  end
end

local calls, verdicts, stream_of = {}, {}, Field.new("tcp.stream")
function voicemux.init() calls, verdicts = {}, {} end

local function call_of()
  local number = stream_of().value
  calls[number] = calls[number] or {}
  return calls[number]
end

local function sides(pinfo)
  local call = call_of()
  local from, to = tostring(pinfo.src) .. pinfo.src_port, tostring(pinfo.dst) .. pinfo.dst_port
  call.dialler = call.dialler or from -- the listener waits for the dialler's preface
  call[from] = call[from] or {state = "PREFACE"}
  call[to] = call[to] or {state = "PREFACE"}
  return call[from], call[to], call.dialler == from
end

-- What the order of a direction says about a frame, found once: programs dissect packets again, in any order.
local function judged(key, pinfo, name, message, fault)
  if verdicts[key] then return verdicts[key] end
  local own, peer, is_dialler = sides(pinfo)
  local verdict = {}
  verdicts[key] = verdict
  if own.state == "DONE" then
    verdict.ignored = true
  elseif fault or name then
    verdict.fault = name and order(own, name, is_dialler) or fault or authentication(call_of(), name, message)
    verdict.delivery = not verdict.fault and delivery(own, peer, name, message)
    own.state = verdict.fault and "DONE" or ORDER[own.state][name]
    if name == "HELLO" then
      own.last_text = message.session and message.last_text
      own.resumes = own.last_text ~= nil and own.last_text ~= false
    end
  end
  return verdict
end

-- One frame at `at`: its bytes, or nil if more have to come.
local function frame(tvb, at, pinfo, root, key)
  local left = tvb:len() - at
  if left < 4 then return nil, DESEGMENT_ONE_MORE_SEGMENT end
  local length, tag, flags = tvb(at, 2):uint(), tvb(at + 2, 1):uint(), tvb(at + 3, 1):uint()
  local too_long = length > LONGEST
  if not too_long and tag ~= 0 and left < 4 + length then return nil, 4 + length - left end
  local size = (too_long or tag == 0) and left or 4 + length -- nothing behind such a header can be found
  local name = TAGS[tag]
  local tree = root:add(voicemux, tvb(at, size), "voicemux " .. (name or "unknown tag " .. tag))
  tree:add(field.length, tvb(at, 2))
  tree:add(field.tag, tvb(at + 2, 1))
  local bits = tree:add(field.flags, tvb(at + 3, 1))
  if name == "TEXT" then bits:add(field.more, tvb(at + 3, 1)) end
  local payload = size > 4 and tvb(at + 4, size - 4) or nil
  if payload then tree:add(field.payload, payload) end
  local message, summary, fault = {}, "", nil
  if too_long then
    fault = "frame of at most 4096 bytes expected, got " .. length
  elseif tag == 0 then
    fault = "tag 0"
  elseif name then
    summary, fault = decoded(payload, length, name, tree, message, flags)
  end
  local verdict = judged(key .. at, pinfo, not too_long and name or nil, message, fault)
  local info = name or (tag % 32 == 0x1a and "grease " or "unknown tag ") .. tag
  info = info .. (summary or "")
  if verdict.ignored then
    tree:add_proto_expert_info(expert.ignored, "Ignored: comes after the end of this direction")
    info = "(ignored) " .. info
  elseif verdict.fault then
    tree:add_proto_expert_info(expert.fault, verdict.fault)
    info = info .. " [" .. verdict.fault .. "]"
  elseif verdict.delivery then
    tree:add_proto_expert_info(expert.delivery, verdict.delivery)
  end
  tree:append_text(": " .. info)
  return size, info
end

function voicemux.dissector(tvb, pinfo, root)
  local call = call_of()
  call.is_tls = call.is_tls or not call.dialler and tvb(0, 1):uint() == 0x16
  if call.is_tls then return Dissector.get("tls"):call(tvb, pinfo, root) end
  local at, infos = 0, {}
  local key = table.concat({pinfo.number, tvb:offset(), tvb:len(), ""}, ":")
  pinfo.cols.protocol = "voicemux"
  local own = sides(pinfo)
  local has_preface = verdicts[key]
  if has_preface == nil then
    if own.state == "PREFACE" and tvb:len() < #PREFACE and PREFACE:sub(1, tvb:len()) == tvb():raw() then
      pinfo.desegment_offset, pinfo.desegment_len = 0, #PREFACE - tvb:len()
      return
    end
    has_preface = own.state == "PREFACE"
    verdicts[key] = has_preface
    if has_preface then own.state = voicemux.prefs.decrypted and "STRANGER" or "START" end
  end
  if has_preface then
    at = math.min(#PREFACE, tvb:len())
    local tree = root:add(voicemux, tvb(0, at), "voicemux preface")
    tree:add(field.preface, tvb(0, at))
    infos[1] = "preface"
    if tvb(0, at):raw() ~= PREFACE then
      tree:add_proto_expert_info(expert.fault, "preface of version 1 expected")
      own.state = "DONE"
    end
  end
  while at < tvb:len() do
    local size, info = frame(tvb, at, pinfo, root, key)
    if not size then
      pinfo.desegment_offset, pinfo.desegment_len = at, info
      break
    end
    infos[#infos + 1] = info
    at = at + size
  end
  -- TCP calls again in the same packet for what follows a frame that spans segments.
  pinfo.cols.info = (pinfo.private.voicemux and ", " or "") .. table.concat(infos, ", ")
  if infos[1] then pinfo.private.voicemux = "shown" end
end

voicemux:register_heuristic("tcp", function(tvb, pinfo, root)
  if tvb:len() < #PREFACE or tvb(0, #PREFACE):raw() ~= PREFACE then return false end
  pinfo.conversation = voicemux
  voicemux.dissector(tvb, pinfo, root)
  return true
end)

local ports, port = DissectorTable.get("tcp.port"), voicemux.prefs.port
ports:add(port, voicemux)
function voicemux.prefs_changed()
  ports:remove(port, voicemux)
  port = voicemux.prefs.port
  ports:add(port, voicemux)
end
