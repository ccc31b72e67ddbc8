from decimal import Decimal

PRICES = {"tea": Decimal("3.50")}
