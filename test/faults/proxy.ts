import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Stands between a client and PostgreSQL, and can lose the server's word on one statement. */
export class LossyProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #losing: { text: string; onLost: () => void } | undefined;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(url: string): Promise<LossyProxy> {
    const { hostname, port } = new URL(url);
    const proxy: LossyProxy = new LossyProxy(
      createServer((client) => proxy.#join(client, connect(Number(port), hostname))),
    );
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  url(original: string): string {
    const url = new URL(original);
    url.port = String((this.#server.address() as AddressInfo).port);
    return url.href;
  }

  /**
   * Lets the next statement whose parameters contain `text` through, waits until PostgreSQL is done with it, and
   * closes the connection in place of the reply. Resolves when that has happened.
   */
  loseReplyTo(text: string): Promise<void> {
    return new Promise((onLost) => {
      this.#losing = { text, onLost };
    });
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket, server: Socket): void {
    let lost: (() => void) | undefined;
    client.on("data", (chunk) => {
      if (this.#losing && chunk.includes(this.#losing.text)) {
        lost = this.#losing.onLost;
        this.#losing = undefined;
      }
      server.write(chunk);
    });
    server.on("data", (chunk) => {
      // A reply comes when the statement is committed: from then on only the caller does not know.
      if (!lost) return void client.write(chunk);
      lost();
      client.destroy();
      server.destroy();
    });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
  }
}
