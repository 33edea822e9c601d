# syntax=docker/dockerfile:1
# One binary on Debian's C library, OpenSSL and root certificates: no shell, no package manager, no root.
#
#   docker build --tag chatbridge .
#   docker run --read-only --volume ./config.toml:/etc/chatbridge/config.toml:ro chatbridge
#
# It writes nothing but its log, to standard error, so the root may be read-only; with [chatapp] in the configuration it also
# wants a volume for chatapp.state_dir that user 65532 may write to. In the configuration set
# admin.listen = "0.0.0.0:9464", or nobody outside the container sees metrics and probes.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
# Cargo reads the manifest of every member of the workspace, of those as well that are not built here.
COPY crates/base/Cargo.toml crates/base/
COPY crates/event/Cargo.toml crates/event/
COPY crates/lab/Cargo.toml crates/lab/
COPY crates/pusher/Cargo.toml crates/pusher/
COPY bench/Cargo.toml bench/
COPY tests/fuzz/Cargo.toml tests/fuzz/
COPY deploy/prerequisites.sh deploy/build.sh deploy/
RUN deploy/prerequisites.sh build
# The dependencies alone, so that this layer stays for as long as Cargo.lock does.
RUN for package in . crates/*; do mkdir "$package/src" && touch "$package/src/lib.rs"; done && \
    echo 'fn main() {}' >src/main.rs && deploy/build.sh && rm -r src crates/*/src
COPY crates crates
COPY src src
# What is built now must be newer than what stood in for it.
RUN touch src/main.rs src/lib.rs crates/*/src/lib.rs && deploy/build.sh

FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="chatbridge" \
      org.opencontainers.image.description="Carries GREEN-API notifications into Kafka: at least once, in order per chat, never lost" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT"
COPY --from=build /src/target/release/chatbridge /usr/bin/chatbridge
# Both TLS libraries find the certificates by this.
# What a large body took goes back to the system at once (docs/deployment.md).
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    MALLOC_MMAP_THRESHOLD_=131072 \
    CHATBRIDGE_LOG_FORMAT=json
USER 65532:65532
EXPOSE 9464 8080
ENTRYPOINT ["/usr/bin/chatbridge"]
CMD ["run", "--config", "/etc/chatbridge/config.toml"]
