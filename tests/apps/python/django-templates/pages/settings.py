from pathlib import Path

SECRET_KEY = "not-a-secret-in-a-test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "pages.site"
USE_TZ = True
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).resolve().parent / "templates"],
        "OPTIONS": {"libraries": {"hands": "pages.hands"}},
    }
]
