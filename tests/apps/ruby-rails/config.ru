require_relative "config/environment"

ActiveRecord::Base.connection.migration_context.migrate
run Rails.application
