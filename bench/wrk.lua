-- Sends requests that each carry the next token of a file with one token per line. Starts at a
-- position in bytes, and again at the beginning after the end. wrk … -s wrk.lua URL --
-- protected|refresh FILE POSITION Prints its results as the last line, in JSON.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  kind = args[1]
  file = assert(io.open(args[2], 'r'))
  file:seek('set', tonumber(args[3]))
  position = tonumber(args[3])
  refused = 0
end

function request()
  local token = file:read('*l')
  if token == nil then
    file:seek('set', 0)
    position = 0
    token = file:read('*l')
  end
  position = position + #token + 1
  if kind == 'protected' then
    return 'GET /protected HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ' .. token .. '\r\n\r\n'
  end
  local body = '{"refresh_token":"' .. token .. '"}'
  return 'POST /refresh HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: '
    .. #body .. '\r\n\r\n' .. body
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  local found = '{"requests":%d,"microseconds":%d,"failed":%d,"p50":%d,"p99":%d,"position":%d}\n'
  io.write(string.format(found, summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99), threads[1]:get('position')))
end
