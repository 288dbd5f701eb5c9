"""What a story asks of the world outside the browser while it runs: POST /name with a text calls the
function of that name, its answer comes back (500 with the reason when it fails)."""
import contextlib
import http.server
import threading
import traceback


@contextlib.contextmanager
def control(**actions):
    """The address to give the story as CONTROL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            try:
                status, said = 200, str(actions[self.path[1:]](text) or "")
            except Exception:
                status, said = 500, traceback.format_exc()
            self.send_response(status)
            self.send_header("Content-Length", str(len(said.encode())))
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
