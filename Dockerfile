# A node of Bitácora. Build: docker build -t bitacora .
# Run: docker run -e ZOOKEEPER_HOSTS=… -e BROKER_LIST=… -v bitacora:/data -d bitacora
# No build arguments, and nothing that only BuildKit knows.

# Packages of the program, with a compiler at hand for `zookeeper`. The package files come first and alone: this layer, the slow one,
# stays as it is until they change.
FROM node:20-bookworm AS packages
WORKDIR /app
# The headers that the image brings; without this, node-gyp would fetch them.
ENV npm_config_nodedir=/usr/local
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund
# `zookeeper` is optional for npm, which goes on without it when it does not compile; a node of a cluster does not.
# What only the compiler needed, and binaries for other systems, stay behind.
RUN node -e 'require("zookeeper"); require("classic-level")' \
 && find node_modules/zookeeper -mindepth 1 -maxdepth 1 ! -name package.json ! -name 'LICENSE*' ! -name lib ! -name build -exec rm -rf {} + \
 && find node_modules/zookeeper/build -type f ! -name '*.node' -delete \
 && find node_modules/classic-level/prebuilds -mindepth 1 -maxdepth 1 ! -name 'linux-*' -exec rm -rf {} + \
 && rm -rf node_modules/classic-level/deps node_modules/nan \
 && node -e 'require("zookeeper"); require("classic-level")'

# The program. TypeScript alone is needed of all the packages for development, and nothing of it is compiled.
FROM node:20-bookworm AS program
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run build && rm -f dist/.tsbuildinfo && find dist -name '*.d.ts' -delete

FROM node:20-bookworm-slim
LABEL org.opencontainers.image.title="Bitácora" \
      org.opencontainers.image.description="A multi-master key-value store whose write-ahead log is a compacted Kafka topic" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/node:20-bookworm-slim"
# Inside a container the loopback interface is reached by nobody; what is published is decided outside.
ENV NODE_ENV=production \
    BITACORA_HTTP_HOST=0.0.0.0 \
    BITACORA_DATA_DIR=/data
WORKDIR /app
# A volume takes the owner of the directory it is made over. Everything else belongs to root: the program cannot change itself.
RUN mkdir /data && chown node:node /data
COPY --from=packages /app/node_modules ./node_modules
COPY package.json LICENSE* ./
COPY --from=program /app/dist ./dist
# By number, so that an orchestrator can see that it is not root. Uid 1000 is the image's `node`.
USER 1000:1000
VOLUME /data
EXPOSE 8082 8083
STOPSIGNAL SIGTERM
# Unhealthy counts from the third answer in a row that is not OK; while a large topic is restored, which may take minutes, none counts.
HEALTHCHECK --interval=5s --timeout=5s --start-period=10m --retries=3 CMD ["node", "/app/dist/src/app/main.js", "health"]
# Node is process 1, without an init: it handles the signals itself, and has no children whose end somebody must await.
ENTRYPOINT ["node", "/app/dist/src/app/main.js"]
CMD ["serve"]
