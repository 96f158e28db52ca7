# The sample "YAJL" of Campfire's streaming manual (campfire-api,
# sections/streaming.md), host, port and token aside.
#   yajl.rb HOST PORT TOKEN ROOM
require_relative 'common'
require 'uri'
require 'yajl/http_stream'

host, port, token, room_id = ARGV

url = URI.parse("http://#{token}:x@#{host}:#{port}/room/#{room_id}/live.json")
Yajl::HttpStream.get(url) do |message|
  tell message
end
warn 'the stream has ended'
