# Caddy with Sidestream, as an image.
#
#   docker build -f xcaddy.Dockerfile -t sidestream .
#   docker run -p 8080:8080 -v $PWD/Caddyfile:/etc/caddy/Caddyfile:ro -v data:/data sidestream
#
# It is built from the files around it. To build a released version instead, drop the
# COPY and --replace.
#
# It runs as a user without rights, who may still listen on ports below 1024. History
# and certificates are kept in /data, so give that a volume. Docker is told the health
# of the site that HEALTH_URL names: write `health /health` into the Caddyfile.
FROM caddy:2.11.9-builder AS builder
COPY . /src
RUN xcaddy build v2.11.9 \
	--with github.com/seed-078801ba/sidestream/caddymodule \
	--replace github.com/seed-078801ba/sidestream=/src

FROM caddy:2.11.9
COPY --from=builder /usr/bin/caddy /usr/bin/caddy
RUN addgroup -S sidestream && adduser -S -G sidestream -h /data sidestream \
	&& mkdir -p /data /config && chown -R sidestream:sidestream /data /config \
	&& setcap cap_net_bind_service=+ep /usr/bin/caddy
USER sidestream
ENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/config HEALTH_URL=http://127.0.0.1:8080/health
VOLUME /data
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD wget -q -O /dev/null "$HEALTH_URL" || exit 1
