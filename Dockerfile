# syntax=docker/dockerfile:1

# What is built, and the packages that it runs on.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY tools/build/package.json tools/build/
RUN npm ci --include=dev
COPY tsconfig.json tsconfig.build.json ./
COPY tools/build tools/build
COPY src src
RUN npm run build && npm prune --omit=dev

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/tools/build/package.json tools/build/
COPY --from=build /app/dist dist
# The image's own user, by number: Kubernetes can tell that it is not root. It owns nothing here, and needs
# nothing to write on: the root may be read-only.
USER 1000:1000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT ?? 8000}/health/live`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=8", "dist/service/main.cjs"]
