# Caddy with Sidestream, as an image.
#
#   docker build -f xcaddy.Dockerfile -t sidestream .
#   docker run -p 80:80 -p 443:443 -v $PWD/Caddyfile:/etc/caddy/Caddyfile -v data:/data sidestream
#
# History is kept in /data, so give that a volume. Built from the files around
# it; to build a released version instead, drop the COPY and --replace.
FROM caddy:2.11.9-builder AS builder
COPY . /src
RUN xcaddy build v2.11.9 \
	--with github.com/seed-078801ba/sidestream/caddymodule \
	--replace github.com/seed-078801ba/sidestream=/src

FROM caddy:2.11.9
COPY --from=builder /usr/bin/caddy /usr/bin/caddy
