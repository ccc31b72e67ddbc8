from django.urls import path

from visits import views

urlpatterns = [path("", views.index), path("log", views.log), path("write", views.write)]
