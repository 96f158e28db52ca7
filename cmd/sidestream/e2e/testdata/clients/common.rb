# What the Ruby clients share: messages go to standard output, one JSON object
# a line, and the process ends when its standard input is closed.
require 'json'
$stdout.sync = true
$stderr.sync = true

def tell(message)
  $stdout.puts JSON.generate(message)
end

Thread.new do
  $stdin.read
  exit! 0
end
Signal.trap('TERM') { exit! 0 }
