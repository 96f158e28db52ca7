# Publishes as the Ruby client does: its own escaping, which leaves ! ' ( ) alone, an
# address without its port, and nothing but 204 is good.
#   ruby tambur_publish.rb URL KEY SECRET MESSAGE
require "base64"
require "json"
require "net/http"
require "openssl"
require "securerandom"
require "uri"

url, key, secret, message = ARGV
# URI.escape(text, Regexp.new("[^#{URI::PATTERN::UNRESERVED.delete("*")}]")) of its day
ESCAPED = /[^\-_.!~'()a-zA-Z\d]/
def escape(text)
  text.to_s.b.gsub(ESCAPED) { |c| format("%%%02X", c.ord) }
end

uri = URI.parse(url)
parameters = {
  "oauth_consumer_key" => key, "oauth_nonce" => SecureRandom.hex(8), "oauth_signature_method" => "HMAC-SHA1",
  "oauth_timestamp" => Time.now.to_i.to_s, "oauth_version" => "1.0", "api_version" => "1.0", "message" => message,
}
pairs = parameters.sort.map { |k, v| "#{escape(k)}=#{escape(v)}" }.join("&")
base = ["POST", "#{uri.scheme}://#{uri.host}#{uri.path}", pairs].map { |part| escape(part) }.join("&")
signature = Base64.strict_encode64(OpenSSL::HMAC.digest("sha1", "#{escape(secret)}&", base))
body = "#{pairs}&oauth_signature=#{escape(signature)}"
answer = Net::HTTP.new(uri.host, uri.port).post(uri.path, body, "Content-Type" => "application/x-www-form-urlencoded")
raise "publish error: " + answer.body unless answer.code == "204"
puts JSON.generate(status: 204)
