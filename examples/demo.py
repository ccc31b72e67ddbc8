"""The whole of slugkit in one page: build a Django app, run it read-only, look at what it may write.

Run it with script/demo, or with any Python that has slugkit: python examples/demo.py
"""

import sys
import tempfile
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import slugkit

APP = Path(__file__).parent / "django"


def get(url):
    try:
        with urlopen(url, timeout=20) as response:
            return response.status, response.read().decode()
    except HTTPError as refused:
        return refused.code, refused.read().decode()


def say(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def show_line(event):
    for line in slugkit.heroku_text(event):
        print(f"  {line}", flush=True)


def main():
    with tempfile.TemporaryDirectory(prefix="slugkit-demo-") as scratch:
        say(f"1. Build {APP.name} into a slug")
        builder = slugkit.SlugBuilder(cache_dir=f"{scratch}/cache", on_event=show_line)
        slug = builder.build(APP, f"{scratch}/django.slug.tgz")
        print(f"  {slug.path.name}: {slug.size / 2**20:.1f} MiB, {slug.diff_id}")

        say("2. Start its web process in a sandbox")
        with slugkit.DynoRunner(store=f"{scratch}/store", grace=10) as runner:
            web = runner.start(slug, "web", config_vars={"SECRET_KEY": "demo"})
            web.wait_up()
            print(f"  {web.name} is {web.state} at {web.url}")

            say("3. Fetch a page")
            status, page = get(web.url)
            print(f"  GET / -> {status}, {page.count(chr(10))} lines: {page.split('<p>')[1].split(',')[0]}")
            assert status == 200, page

            say("4. Write into the app: refused. Write into tmp/: accepted")
            for path in ("manage.py", "tmp/note"):
                status, answer = get(f"{web.url}/write?path={path}")
                print(f"  GET /write?path={path} -> {status}, {answer.strip()}")
                assert status == (403 if path == "manage.py" else 200), answer

            say("5. What the dyno logged")
            for line in web.logs()[-4:]:
                print(f"  {line}")
    say("Stopped, and nothing is left behind.")


if __name__ == "__main__":
    try:
        main()
    except slugkit.SlugkitError as error:
        sys.exit(f"error[{error.code}]: {error}\nhint: {error.hint}")
