# The sample "Ruby Example (JSON stream)" of Flowdock's streaming manual
# (flowdock api-docs, streaming.md), host, port and token aside.
#   em_http_flowdock.rb HOST PORT TOKEN ORGANIZATION FLOW
require_relative 'common'
require 'eventmachine'
require 'em-http'

host, port, token, organization, flow = ARGV

http = EM::HttpRequest.new(
  "http://#{host}:#{port}/flows/#{organization}/#{flow}",
  :keepalive => true, :connect_timeout => 0, :inactivity_timeout => 0)
EventMachine.run do
  s = http.get(:head => { 'Authorization' => [token, ''], 'accept' => 'application/json'})

  s.headers { |h| warn "STATUS #{h.status}" }
  s.errback { warn "ERROR #{s.error}" }
  s.callback { warn 'the stream has ended' }

  buffer = ""
  s.stream do |chunk|
    buffer << chunk
    while line = buffer.slice!(/.+\r\n/)
      tell JSON.parse(line)
    end
  end
end
