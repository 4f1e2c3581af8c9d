# The image that `make image` builds: the program, the libraries that it is linked to, and the authorities of TLS. No shell,
# no package manager, nothing that writes.
#
# The libraries are glibc's, as those that the tests and figures of speed were made with: its allocator and its copying of memory
# are part of these figures, and its resolver is the one that names of a cluster are tried with. A static program with musl would be two
# files fewer. They come from the image that it is built in, and so there is one base to pin and to renew.
#
# The tag names the versions of Rust and Debian. To pin what is behind it, put the digest there too:
#   docker buildx imagetools inspect rust:1.95.0-slim-bookworm      # then FROM rust:1.95.0-slim-bookworm@sha256:…
FROM rust:1.95.0-slim-bookworm AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /src

# Names of functions stay, for backtraces and profiles; what else a debugger reads is three quarters of the file.
ENV CARGO_PROFILE_RELEASE_STRIP=debuginfo

COPY . .
# Downloads alone are kept from one build to the next: they are checked against Cargo.lock. What an earlier commit compiled is not, and
# what was not compiled from this one should not ship.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    cargo build --release --locked --bin portcullis

# Times are the commit's, so that the same commit is the same image.
ARG SOURCE_DATE_EPOCH=0
RUN tools/image-root.sh target/release/portcullis /image

FROM scratch
COPY --from=build /image /

# Whom the numbers mean is in /etc/passwd. Kubernetes can tell from a number alone that it is not root.
USER 65532:65532

# gRPC, and metrics with the probes. Without more, `serve` listens on loopback: who may call has to be said first, by --auth or
# --allow-anonymous with --listen 0.0.0.0:50051.
EXPOSE 50051 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/portcullis", "healthcheck"]
ENTRYPOINT ["/portcullis"]
CMD ["serve"]

# Last, so that they change nothing else.
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="portcullis" \
      org.opencontainers.image.description="A gRPC authorization service for a partner-managed customer portal" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
