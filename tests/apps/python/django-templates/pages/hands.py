from django import template

register = template.Library()


@register.filter
def hands(guests):
    return 2 * guests
