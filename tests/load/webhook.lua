-- GREEN-API's side of a webhook, for wrk: each call an event of its own, for one instance after the other, so that the
-- calls of one instance are as far apart as the number of instances allows. Arguments: first id, instances, token, wrk's
-- own threads.
local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  first, instances, token, shares = tonumber(args[1]), tonumber(args[2]), args[3], tonumber(args[4])
  sent, ok, again, other = 0, 0, 0, 0
  run = tostring(os.time())
end

function request()
  sent = sent + 1
  local instance = first + (sent * shares + number) % instances
  local body = string.format(
    '{"typeWebhook":"incomingMessageReceived","instanceData":{"idInstance":%d,"wid":"79990001122@c.us",' ..
    '"typeInstance":"whatsapp"},"timestamp":%d,"idMessage":"3EB0%s%02d%010d","senderData":{"chatId":"7999%07d@c.us",' ..
    '"sender":"7999%07d@c.us","chatName":"Load","senderName":"Load"},"messageData":{"typeMessage":"textMessage",' ..
    '"textMessageData":{"textMessage":"event %d of a load that looks like ordinary small talk"}}}',
    instance, os.time(), run, number, sent, sent % 1000, sent % 1000, sent)
  return wrk.format("POST", "/green-api/" .. instance, {
    ["Authorization"] = "Bearer " .. token,
    ["Content-Type"] = "application/json; charset=utf-8",
  }, body)
end

function response(status)
  if status == 200 then ok = ok + 1 elseif status == 503 then again = again + 1 else other = other + 1 end
end

function done(summary, latency)
  local ok, again, other = 0, 0, 0
  for _, thread in ipairs(threads) do
    ok = ok + thread:get("ok")
    again = again + thread:get("again")
    other = other + thread:get("other")
  end
  local errors = summary.errors
  io.write(string.format(
    '{"seconds":%.3f,"ok":%d,"again":%d,"other":%d,"broken":%d,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f}\n',
    summary.duration / 1e6, ok, again, other, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
