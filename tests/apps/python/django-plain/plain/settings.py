import os

SECRET_KEY = os.environ.get("SECRET_KEY", "not-a-secret-in-a-test")
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "plain.urls"
USE_TZ = True
