"""A service with the endpoint of docs/flamegraph_endpoint.py: service.py http|flask|fastapi PORT. It is always at work."""

import http.server
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "docs"))
import flamegraph_endpoint  # noqa: E402


def at_work():
    while True:
        sum(i * i for i in range(1000))


class Handler(flamegraph_endpoint.Handler, http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"its own {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve_http(port):
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def serve_flask(port):
    import flask
    app = flask.Flask("service")
    app.wsgi_app = flamegraph_endpoint.WSGI(app.wsgi_app)
    app.run("127.0.0.1", port, threaded=True)


def serve_fastapi(port):
    import fastapi
    import uvicorn
    app = fastapi.FastAPI()
    app.add_middleware(flamegraph_endpoint.ASGI)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


threading.Thread(target=at_work, daemon=True).start()
globals()["serve_" + sys.argv[1]](int(sys.argv[2]))
