# The sample "twitter-stream" of Campfire's streaming manual (campfire-api,
# sections/streaming.md), host, port and token aside.
#   twitter_stream.rb HOST PORT TOKEN ROOM
require_relative 'common'
require 'twitter/json_stream'

host, port, token, room_id = ARGV

options = {
  :path => "/room/#{room_id}/live.json",
  :host => host,
  :port => port.to_i,
  :ssl  => false,
  :auth => "#{token}:x"
}
# As tinder had it: a stream that is silent for six seconds is dead.
options[:timeout] = ENV['INACTIVITY'].to_i if ENV['INACTIVITY']

EventMachine::run do
  stream = Twitter::JSONStream.connect(options)

  stream.each_item do |item|
    tell JSON.parse(item)
  end

  stream.on_error do |message|
    warn "ERROR:#{message.inspect}"
  end

  stream.on_reconnect do |timeout, retries|
    warn "RECONNECT in #{timeout} s, number #{retries}"
  end

  stream.on_max_reconnects do |timeout, retries|
    warn "Tried #{retries} times to connect."
    exit
  end
end
