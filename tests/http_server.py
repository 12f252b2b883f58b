"""A web server on 127.0.0.1 for the tests of downloads, as well-behaved or broken as the address asks for.

    http_server.py LOG     prints its port on one line, appends one line a request to LOG ("STATUS RANGE AGENT PATH"), and ends
                           when its standard input does.

/bytes?KEY=VALUE&... is a file of n bytes (content() below), and troubles that belong to one address each:
    n=SIZE                 its size
    fail=STATUS:COUNT      the first COUNT requests get this status
    retry=SECONDS          ... with this Retry-After
    cut=SIZE:COUNT         the first COUNT answers break off after SIZE bytes
    stall=COUNT            ... or say nothing for longer than a client waits
    ranges=no              Range is ignored
    wrong_range=COUNT      the first COUNT answers to a Range give another part
    tag=no|weak|changing   instead of a strong ETag
/to?URL                    redirects
/weights/FILE              the files of a folder, named by the environment's KAPPATUNE_TEST_WEIGHTS
/SCENARIO/API/aflux/?...   AFLOW's search interface over the entries below; the scenarios are in class Aflux
/SCENARIO/AFLOWDATA/...    the entries' files
"""
import http.server
import json
import os
import re
import sys
import threading
import time
import urllib.parse

LABEL = "agl_thermal_conductivity_300K"
STALL = 3


def content(size):
    return bytes((7 * i + i // 251) % 256 for i in range(size))


def crystal(number):
    """Rock salt, face-centred, with another edge for each entry."""
    edge = 3.9 + 0.01 * number
    return {
        "geometry": [edge, edge, edge, 60, 60, 60],
        "species": ["Cl", "Na"],
        "composition": [1, 1],
        "positions_fractional": [[0, 0, 0], [0.5, 0.5, 0.5]],
    }


def poscar(number):
    half = (3.9 + 0.01 * number) / 2**0.5
    return f"Cl Na\n1\n0 {half} {half}\n{half} 0 {half}\n{half} {half} 0\nCl Na\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"


def cif(number):
    edge = 3.9 + 0.01 * number
    lines = ["data_NaCl", "_symmetry_space_group_name_H-M 'P1'"]
    lines += [f"_cell_length_{axis} {edge}" for axis in "abc"]
    lines += [f"_cell_angle_{angle} 60" for angle in ("alpha", "beta", "gamma")]
    lines += ["loop_", "_atom_site_label", "_atom_site_type_symbol"]
    lines += [f"_atom_site_fract_{axis}" for axis in "xyz"]
    lines += ["Cl1 Cl 0 0 0", "Na2 Na 0.5 0.5 0.5", ""]
    return "\n".join(lines)


def entries(scenario):
    """Seven good entries; two of them lack a property that makes a crystal and have it in one of their files."""
    made = []
    for number in range(7):
        row = {
            "compound": "Cl1Na1",
            "auid": f"aflow:{number:016x}",
            "aurl": f"aflowlib.duke.edu:AFLOWDATA/ICSD_WEB/FCC/Cl1Na1_ICSD_{100 + number}",
            LABEL: 1.5 + number,
        }
        row.update(crystal(number))
        made.append(row)
    made[6]["aurl"] = "aflowlib.duke.edu:AFLOWDATA/LIB2_RAW/ClNa_pv:PAW_PBE/201"  # a catalogue without names
    del made[2]["positions_fractional"]
    del made[4]["geometry"]
    if scenario == "text":  # every value is a text, and ends with a newline
        for row in made:
            for key, value in row.items():
                if key == "positions_fractional":
                    value = ";".join(",".join(map(str, place)) for place in value)
                elif isinstance(value, list):
                    value = ",".join(map(str, value))
                row[key] = f"{value}\n"
    if scenario == "rejects":
        made[0][LABEL] = 0
        made[1][LABEL] = "unknown"
        made[3]["composition"] = [1, 2]  # disagrees with the positions; the entry has no file either
        made[5]["aurl"] = "aflowlib.duke.edu:AFLOWDATA/ICSD_WEB/../../secret"
        del made[5]["species"]
        made.append({"auid": "", "aurl": "", "compound": "Cl1Na1", LABEL: 8.5, **crystal(7)})
    if scenario == "abroad":
        made[2]["aurl"] = "example.org:AFLOWDATA/ICSD_WEB/FCC/Cl1Na1_ICSD_102"
    return [] if scenario == "empty" else made


FILES = {
    "ICSD_WEB/FCC/Cl1Na1_ICSD_102/CONTCAR.relax.vasp": poscar(2),
    "ICSD_WEB/FCC/Cl1Na1_ICSD_104/CONTCAR.relax.vasp": "no crystal at all\n",
    "ICSD_WEB/FCC/Cl1Na1_ICSD_104/Cl1Na1_ICSD_104.cif": cif(4),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # headers and content in one packet, or the kernels wait for each other
    counts = {}  # requests that an address has had
    log_path = None

    def log_message(self, *arguments):
        pass

    def log(self, status):
        with open(self.log_path, "a", encoding="utf-8") as log:
            wanted = self.headers.get("Range", "-")
            print(status, wanted, self.headers.get("User-Agent", "-"), urllib.parse.unquote(self.path), file=log)

    def count(self):
        """How often this address was asked for before."""
        before = self.counts.get(self.path, 0)
        self.counts[self.path] = before + 1
        return before

    def answer(self, status, body=b"", headers=(), cut=None):
        self.log(status)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/bytes":
            self.bytes(dict(urllib.parse.parse_qsl(query)))
        elif path == "/to":
            self.answer(302, b"elsewhere", [("Location", urllib.parse.unquote(query))])
        elif path.startswith("/weights/"):
            self.weights(path[len("/weights/") :])
        elif match := re.fullmatch(r"/(\w+)/API/aflux/", path):
            self.aflux(match[1], urllib.parse.unquote(query))
        elif match := re.fullmatch(r"/(\w+)/AFLOWDATA/(.*)", path):
            self.aflow_file(match[1], match[2])
        else:
            self.answer(404, b"not here")

    def bytes(self, asked):
        before = self.count()
        body = content(int(asked["n"]))
        status, count = map(int, asked.get("fail", "0:0").split(":"))
        if before < count:
            headers = [("Retry-After", asked["retry"])] if "retry" in asked else []
            return self.answer(status, b"an error page that belongs to no file", headers)
        if before < int(asked.get("stall", 0)):
            self.log(0)
            time.sleep(STALL)
        tag = {"no": None, "weak": 'W/"w"', "changing": f'"{before}"'}.get(asked.get("tag"), '"strong"')
        headers = [("ETag", tag)] if tag else []
        start = 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        fits = self.headers.get("If-Range", tag) == tag
        if wanted and fits and asked.get("ranges") != "no":
            start = int(wanted[1])
            if start >= len(body):
                return self.answer(416, b"beyond", [("Content-Range", f"bytes */{len(body)}")])
            if before < int(asked.get("wrong_range", 0)) + 1 and "wrong_range" in asked:
                start += 1
            headers.append(("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}"))
        size, count = map(int, asked.get("cut", "0:0").split(":"))
        self.answer(206 if start else 200, body[start:], headers, size if before < count else None)

    def weights(self, name):
        kind, _, name = name.rpartition("/")
        with open(os.path.join(os.environ["KAPPATUNE_TEST_WEIGHTS"], os.path.basename(name)), "rb") as file:
            body = file.read()
        before = self.count()
        if kind == "forged" and name == "state.pt":
            body = body[:-1] + bytes([body[-1] ^ 1])
        start = 0
        headers = []
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted:
            start = int(wanted[1])
            headers = [("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")]
        cut = None
        if name == "state.pt" and (kind == "broken" or (kind == "cut" and before == 0)):
            cut = 0 if before else len(body) // 2
        self.answer(206 if start else 200, body[start:], headers, cut)

    def aflux(self, scenario, query):
        before = self.count()
        page, size = map(int, re.search(r"\$paging\((\d+),(\d+)\)", query).groups())
        keys = [re.sub(r"\(.*?\)", "", key) for key in query.split(",$paging")[0].split(",")]
        if scenario == "busy" and page == 1 and before < 2:
            return self.answer(503, b"later")
        if scenario == "busy" and page == 2 and before < 1:
            return self.answer(429, b"later", [("Retry-After", "1")])
        if scenario == "down":
            return self.answer(429, b"later", [("Retry-After", "86400")])
        if scenario == "stuck" or (scenario == "repeats" and page == 2 and before == 0):
            page = 1
        # The rows that lack a property that was asked for are left out.
        every = [row for row in entries(scenario) if all(key in row for key in keys)]
        total = len(every) + (2 if scenario == "short" else 0)
        rows = every[(page - 1) * size : page * size]
        rows = [{key: row[key] for key in row if key in keys or key in ("auid", "aurl", "compound")} for row in rows]
        if scenario == "twice" and page == 2:
            rows.append(every[0])
        if scenario in ("text", "short"):
            rows = {f"{(page - 1) * size + i + 1} of {total}": row for i, row in enumerate(rows)}
        body = json.dumps(rows).encode()
        if scenario == "garbage" or (scenario == "malformed" and page == 2 and before == 0):
            body = body[: len(body) // 2]
        if scenario == "odd":
            body = b'{"error": "no such property"}'
        self.answer(200, body, cut=len(body) // 2 if scenario == "cut" and before == 0 else None)

    def aflow_file(self, scenario, path):
        before = self.count()
        path = urllib.parse.unquote(path)
        if scenario == "slow":
            time.sleep(1)
        if scenario == "failing":
            return self.answer(500, b"always")
        body = FILES.get(path, "").encode()
        if not body:
            return self.answer(404, b"not here")
        return self.answer(200, body, cut=20 if scenario == "cut" and before == 0 else None)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that leaves is no news."""


def main():
    Handler.log_path = sys.argv[1]
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


main()
