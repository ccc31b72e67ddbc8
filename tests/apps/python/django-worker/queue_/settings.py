SECRET_KEY = "not-a-secret-in-a-test"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["queue_"]
ROOT_URLCONF = "queue_.wsgi"
USE_TZ = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
