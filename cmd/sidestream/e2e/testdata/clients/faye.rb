# Debian's ruby-faye, over one transport.
#   faye.rb URL TRANSPORT TOKEN CHANNEL...
require_relative 'common'
require 'faye'

url, transport, token, *channels = ARGV
EM.run do
  client = Faye::Client.new(url, retry: 1)
  client.disable('websocket') unless transport == 'websocket'
  client.set_header('Authorization', "Bearer #{token}")
  channels.each do |channel|
    subscription = client.subscribe(channel) do |data|
      tell({ 'channel' => channel, 'data' => data })
    end
    subscription.callback { warn "SUBSCRIBED #{channel}" }
    subscription.errback { |e| warn "ERROR #{channel} #{e.message}" }
  end
end
